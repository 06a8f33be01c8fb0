from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from chutes_wrappers.cli.commands import build
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.emulator import builder
from chutes_wrappers.host.forge_stages import StageFailed


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


class FakeDocker:
    """The docker command: prints the stages of the Dockerfile that it builds, and ends with ``failure`` in the last one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failure: BaseException | None = None) -> None:
        self.builds: list[Sequence[str]] = []
        self.image_commands: list[tuple[str, ...]] = []
        self._failure = failure
        monkeypatch.setattr(builder, "BuildCommands", lambda *_: self)

    def run(self, arguments: Sequence[str], directory: Path, on_line: Callable[[str], None]) -> None:
        self.builds.append(arguments)
        names = re.findall("echo '(.*?)'", (directory / "Dockerfile").read_text())
        for name in names:
            on_line(name)
        if self._failure and names[-1].endswith("bytecode manifest"):
            on_line("The command returned a non-zero code: 1")
            raise self._failure

    def try_run(self, *arguments: str) -> None:
        self.image_commands.append(arguments)


def test_the_stages_are_built_without_network_after_the_sdk_and_replace_the_last_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    docker = FakeDocker(monkeypatch)
    assert build._build_forge_image("case:v1", debug=False) == "case:v1-forge"
    assert ["none" in argv for argv in docker.builds] == [False, True]
    assert all(argv[argv.index("-t") + 1] == "case:v1-forge" for argv in docker.builds)
    label = "chutes-wrappers.forge=case:v1"
    assert all(label in argv for argv in docker.builds)
    assert docker.image_commands == [("image", "prune", "--force", "--filter", f"label={label}")]
    shown = capsys.readouterr().err
    assert re.search(r"✓ the forge's stages passed in \d+ s: case:v1-forge", shown)
    assert "3 of the forge's steps are not public and were not run" in shown


@pytest.mark.parametrize("failure", [WrapperError("exit code 1"), KeyboardInterrupt()], ids=["failed stage", "Ctrl-C"])
def test_of_stages_that_did_not_pass_no_image_remains(failure: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = FakeDocker(monkeypatch, failure)
    with pytest.raises(StageFailed if isinstance(failure, WrapperError) else KeyboardInterrupt):
        build._build_forge_image("case:v1", debug=False)
    assert docker.image_commands == [("image", "rm", "case:v1-forge")]
