"""A text for a regular expression."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.host.parity.pattern_examples import build_matching_text, has_match


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^[a-z]+$", "a"),
        (r"^[A-Z]{2}-\d{3,5}$", "AA-000"),
        (r"^(foo|bar)_[^a-z]$", "foo_0"),
        (r"^#(?:[0-9a-fA-F]{3}){1,2}$", "#aaa"),
        (r"^(?<year>\d{4})-(?P<month>0[1-9]|1[0-2])$", "0000-01"),
        (r"^arn:aws:[\w-]+:.*\/x$", "arn:aws:a:a/x"),
        (r"^(?!root$)[a-z][a-z0-9_]*$", "aa"),
        (r"^([ab])\1$", "aa"),
        (r"^[\u0041-\u0043]\x2E$", "A."),
        (r"^a{,2}b*?$", None),
        (r"\S+", "a"),
        (r"^[]a]$", "a"),
        ("", ""),
    ],
)
def test_patterns_of_specifications(pattern: str, text: str | None) -> None:
    found = build_matching_text(pattern)
    assert found is not None
    assert re.search(re.sub(r"\(\?<(?=[a-z])", "(?P<", pattern), found)
    assert text is None or found == text


@pytest.mark.parametrize("pattern", ["[", "(a", r"\p{L}", "^a^b$", "((((a{999}){999}){999}){999})", "(?i", "a" * 3000])
def test_a_pattern_without_an_example(pattern: str) -> None:
    assert build_matching_text(pattern) is None


def test_the_length_is_kept() -> None:
    assert build_matching_text("^[a-z]*$", 5, 9) == "a" * 6
    assert build_matching_text("^[a-z]+$", 37, 37) == "a" * 37
    assert build_matching_text("^a$", 2) is None
    assert has_match("^a", "ab")
    assert not has_match("^a", "b")
    assert has_match("[", "anything")


@pytest.mark.parametrize(
    "pattern",
    [
        "^(a+)+$",
        "(a+a+)+b",
        "(a|aa)+$",
        "(a?){30}a{30}b",
        "(.*)(.*)(.*)(.*)(.*)b",
        "(?:(?:a{1,9}){1,9}){1,9}b",
        r"([^\]]+\s?)*$",
    ],
)
def test_a_search_that_may_never_end_is_left_out(pattern: str) -> None:
    assert has_match(pattern, "a" * 300 + "!")
    assert build_matching_text(pattern) is not None


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^[a-z0-9]+(?:-[a-z0-9]+)*$", "My App"),
        ("^[^@]+@[^@]+\\.[^@]+$", "a@" + "b" * 40),
        ("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "a" * 36),
        ("^.{1,200}$", "a" * 400),
    ],
)
def test_usual_patterns_are_searched(pattern: str, text: str) -> None:
    assert not has_match(pattern, text)


ATOMS = st.sampled_from(["a", "[b-d]", r"\d", r"\w", "[^x]", ".", "(e|f)", r"\.", "(?:gh)", r"[\s_]"])
PARTS = st.builds("{}{}".format, ATOMS, st.sampled_from(["", "+", "*", "?", "{2}", "{1,3}", "{2,}", "+?"]))


@given(st.lists(PARTS, max_size=6).map(lambda parts: f"^{''.join(parts)}$"))
def test_a_text_matches_its_pattern(pattern: str) -> None:
    text = build_matching_text(pattern)
    assert text is not None
    assert re.fullmatch(pattern, text)
