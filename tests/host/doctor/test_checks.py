from __future__ import annotations

import pytest

from chutes_wrappers.host.doctor.checks import parse_release_numbers


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("0.6.9", (0, 6, 9)), ("0.6.11rc2", (0, 6, 11)), ("0.7.0.dev1", (0, 7, 0)), ("0.7", (0, 7)), ("1.0.0", (1, 0, 0))],
)
def test_a_pre_release_has_the_numbers_of_its_release(version: str, numbers: tuple[int, ...]) -> None:
    assert parse_release_numbers(version) == numbers
