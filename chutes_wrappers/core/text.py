"""Cleaning of text from other programs and machines, before a terminal shows it. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

# Colours only, and every complete CSI and OSC sequence (ECMA-48).
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
# C0, DEL and C1: without them a text cannot control a terminal.
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
# JSON may contain them, and no file or pipe can.
_LONE_SURROGATES = re.compile(r"[\ud800-\udfff]")


def clean_text(value: Any) -> str:
    """Return ``value`` as one line that can be encoded, with a space in the place of control characters; empty for None."""
    if value is None:
        return ""
    return _CONTROL_CHARACTERS.sub(" ", _LONE_SURROGATES.sub("\ufffd", str(value))).strip()


def remove_colours(text: str) -> str:
    """Return ``text`` without the escape sequences of colours."""
    return _COLOUR.sub("", text)


def remove_escape_sequences(text: str) -> str:
    """Return ``text`` without the complete escape sequences of a terminal: colours, cursor movements, titles, links.

    Only for text of one source: in a text of several, a sequence could begin in one and end in another.
    """
    return _ESCAPE_SEQUENCE.sub("", text)


# Controls, format characters (bidirectional overrides, zero width), surrogates, separators of lines and paragraphs.
_HIDDEN_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")
# Format characters that Persian, the scripts of India and emoji need: zero width non-joiner and joiner.
_JOINERS = "\u200c\u200d"


class _Escapes(dict[int, str]):
    """The table of ``str.translate`` that escapes what a terminal obeys or hides, except ``kept``."""

    def __init__(self, kept: str) -> None:
        super().__init__({ord(character): character for character in kept})

    def __missing__(self, code: int) -> str:
        character = chr(code)
        is_hidden = unicodedata.category(character) in _HIDDEN_CATEGORIES
        self[code] = character.encode("unicode_escape").decode() if is_hidden else character
        return self[code]


_LINE_ESCAPES = _Escapes(kept=_JOINERS)
_BLOCK_ESCAPES = _Escapes(kept=_JOINERS + "\n\t")


def escape_line(text: str) -> str:
    r"""Return ``text`` as one line, with an escape such as ``\x1b`` or ``\n`` for each character that a terminal obeys or hides.

    Tabs become spaces. A text that is escaped already does not change.
    """
    return text.expandtabs().translate(_LINE_ESCAPES)


def escape_block(text: str) -> str:
    r"""Return ``text`` with an escape such as ``\x1b`` for each character that a terminal obeys or hides, except line breaks and tabs."""
    return text.replace("\r\n", "\n").translate(_BLOCK_ESCAPES)
