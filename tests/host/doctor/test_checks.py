from __future__ import annotations

import pytest

from chutes_wrappers.host.doctor.checks import release_numbers


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("0.6.9", (0, 6, 9)), ("0.6.11rc2", (0, 6, 11)), ("0.7.0.dev1", (0, 7, 0)), ("0.7", (0, 7)), ("1.0.0", (1, 0, 0))],
)
def test_a_pre_release_counts_as_its_release(version: str, numbers: tuple[int, ...]) -> None:
    assert release_numbers(version) == numbers
