from __future__ import annotations

import re
import time

from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.exposure import hidden_by

# As it stands in the SDK (chute/cord.py).
SDK_PATTERN = re.compile(r"^(/[a-z0-9_]+[a-z0-9-_]*)+$")


@given(st.text("/a0-_A.", max_size=12))
def test_the_pattern_of_paths_means_what_the_sdks_means(path: str) -> None:
    assert bool(platform_rules.SDK_PATH.match(path)) == bool(SDK_PATTERN.match(path))


def test_a_very_long_path_is_judged_at_once() -> None:
    started = time.monotonic()
    assert not platform_rules.SDK_PATH.match("/" + "a" * 100_000 + "!")
    assert not hidden_by("/x." + "a" * 100_000 + "!")
    assert hidden_by("/x." + "a" * 100_000)
    assert time.monotonic() - started < 1
