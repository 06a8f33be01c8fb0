from __future__ import annotations

import pytest

from chutes_wrappers.cli.commands import build


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Step 3/14 : RUN /bin/sh user.sh", True),
        ("#8 [ 3/14] RUN /bin/sh user.sh", True),
        ("chutes-wrappers: the SDK runs on Python 3.11.2", True),
        ("#8 0.512 chutes-wrappers: the SDK runs on Python 3.11.2", True),
        ("#8 41.07 chutes-wrappers: not in this distribution, left out: clinfo", True),
        ("#8 0.512 Get:1 chutes-wrappers: no", False),
        (" ---> Using cache", False),
    ],
)
def test_output_of_the_recipe_stays_on_the_screen_with_every_builder(line: str, shown: bool) -> None:
    assert bool(build._STEP.match(line)) is shown


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('Step 3/14 : ENV HF_TOKEN="hf_4711"', "Step 3/14 : ENV HF_TOKEN=…"),
        ("STEP 3/14: ENV HF_TOKEN hf_4711", "STEP 3/14: ENV HF_TOKEN …"),
        ("Step 4/14 : RUN env", "Step 4/14 : RUN env"),
        ("", ""),
    ],
)
def test_values_of_variables_are_not_shown(line: str, shown: str) -> None:
    assert build.mask_variable_values(line) == shown
