from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.cli.commands.logs import skip_repeated_lines


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 12))
def test_a_log_that_is_read_again_goes_on_where_it_broke_off(shown: int, more: int, backfill: int) -> None:
    log = [f"line {number}" for number in range(shown + more)]
    again = log[max(0, len(log) - backfill) :]
    missed = max(0, more - backfill)
    assert list(skip_repeated_lines(again, log[:shown][-backfill:])) == log[shown + missed :]


@given(st.lists(st.sampled_from("ab"), max_size=12), st.lists(st.sampled_from("ab"), max_size=12))
def test_of_lines_that_are_alike_only_what_is_repeated_is_left_out(shown: list[str], told: list[str]) -> None:
    new = list(skip_repeated_lines(told, shown))
    left_out = told[: len(told) - len(new)]
    assert left_out + new == told
    assert not left_out or shown[-len(left_out) :] == left_out


def test_a_line_is_shown_as_soon_as_it_is_known_to_be_new() -> None:
    def endless() -> object:
        yield from ("b", "c", "d")
        raise AssertionError("more was read than was needed")

    lines = skip_repeated_lines(endless(), ["a", "b", "c"])  # type: ignore[arg-type]  # it ends by raising
    assert next(lines) == "d"
