from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.text import (
    clean_text,
    escape_block,
    escape_line,
    remove_colours,
    remove_escape_sequences,
)

JOINERS = "\u200c\u200d"
TEXTS = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\x1b[]0;mJ\x07\\\x9b\r\n\t\x08\x7f")))


@given(TEXTS)
def test_clean_text_leaves_no_control_character(text: str) -> None:
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) <= 0x9F for character in clean_text(text))


@given(TEXTS)
def test_an_escaped_text_has_nothing_that_a_terminal_obeys_or_hides_and_stays_as_it_is(text: str) -> None:
    line, block = escape_line(text), escape_block(text)
    for shown in (line, block.replace("\n", "").replace("\t", "")):
        assert not any(
            unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") for each in shown if each not in JOINERS
        )
    assert (escape_line(line), escape_block(block)) == (line, block)


@given(st.text(alphabet=st.characters(min_codepoint=0xA0, exclude_categories=("Cf", "Cs", "Zl", "Zp"))))
def test_printable_text_is_unchanged(text: str) -> None:
    assert clean_text(text) == text.strip()
    assert escape_line(text) == escape_block(text) == remove_escape_sequences(text) == remove_colours(text) == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (5, "5"),
        ("", ""),
        (" a\r\n\x1b[2Jb\x00", "a [2Jb"),
        ("é\x9b\x85x", "é x"),
        ("a\ud800b", "a\ufffdb"),
    ],
)
def test_clean_text_is_one_line(value: object, expected: str) -> None:
    assert clean_text(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[38;5;69mcolour\x1b[0m", "colour"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;http://a\x1b\\link", "link"),
        ("\x1b]0;no end, so no text is lost", "\x1b]0;no end, so no text is lost"),
        ("\x1b[?25lhidden\x1b[2J", "hidden"),
        ("a\tb\x00", "a\tb\x00"),
    ],
)
def test_escape_sequences_are_removed(text: str, expected: str) -> None:
    assert remove_escape_sequences(text) == expected


def test_only_colours_are_removed() -> None:
    assert remove_colours("\x1b[1;31mred\x1b[0m \x1b[2J") == "red \x1b[2J"


@pytest.mark.parametrize(
    ("text", "line", "block"),
    [
        ("\x1b]52;c;cm0=\x07", r"\x1b]52;c;cm0=\x07", r"\x1b]52;c;cm0=\x07"),
        ("\x9b2J\x85", r"\x9b2J\x85", r"\x9b2J\x85"),
        ("a\n✓ deployed\r\nb", r"a\n✓ deployed\r\nb", "a\n✓ deployed\nb"),
        ("50%\r100%", r"50%\r100%", r"50%\r100%"),
        ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
        ("a\u200bb\ufeff\xad", r"a\u200bb\ufeff\xad", r"a\u200bb\ufeff\xad"),
        ("\u2028\udc80\U000e0041", r"\u2028\udc80\U000e0041", r"\u2028\udc80\U000e0041"),
        ("a\tb", "a       b", "a\tb"),
        ("é 日本 می‌خواهم 👩‍🔬", "é 日本 می‌خواهم 👩‍🔬", "é 日本 می‌خواهم 👩‍🔬"),
    ],
)
def test_what_a_terminal_obeys_or_hides_is_escaped(text: str, line: str, block: str) -> None:
    assert (escape_line(text), escape_block(text)) == (line, block)
