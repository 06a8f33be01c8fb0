from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.text import (
    clean_text,
    escape_unprintable,
    remove_colours,
    remove_control_characters,
    remove_escape_sequences,
)

TEXTS = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\x1b[]0;mJ\x07\\\x9b\r\n\t\x08\x7f")))


@given(TEXTS)
def test_clean_text_and_removal_leave_no_control_character(text: str) -> None:
    for cleaned in (clean_text(text), remove_control_characters(text)):
        assert not any(ord(character) < 0x20 or 0x7F <= ord(character) <= 0x9F for character in cleaned)
    assert escape_unprintable(text).isprintable()


@given(st.text(alphabet=st.characters(min_codepoint=0xA0)))
def test_printable_text_is_unchanged(text: str) -> None:
    assert clean_text(text) == text.strip()
    assert remove_control_characters(text) == remove_escape_sequences(text) == remove_colours(text) == text


@pytest.mark.parametrize(
    ("value", "expected"), [(None, ""), (5, "5"), ("", ""), (" a\r\n\x1b[2Jb\x00", "a [2Jb"), ("é\x9b\x85x", "é x")]
)
def test_clean_text_is_one_line(value: object, expected: str) -> None:
    assert clean_text(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[38;5;69mcolour\x1b[0m", "colour"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;http://a\x1b\\link", "link"),
        ("\x1b[?25lhidden\x1b[2J", "hidden"),
        ("a\tb\x00", "a\tb\x00"),
    ],
)
def test_escape_sequences_are_removed(text: str, expected: str) -> None:
    assert remove_escape_sequences(text) == expected


def test_only_colours_are_removed() -> None:
    assert remove_colours("\x1b[1;31mred\x1b[0m \x1b[2J") == "red \x1b[2J"


def test_unprintable_characters_are_escaped() -> None:
    assert escape_unprintable("é\x1b[2J\n\u202e") == r"é\x1b[2J\n\u202e"
