"""Cleaning of text from other programs and machines, before a terminal shows it. Pure."""

from __future__ import annotations

import re
from typing import Any

# Colours only, and every CSI and OSC sequence (ECMA-48).
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")
# C0, DEL and C1: without them a text cannot control a terminal.
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def clean_text(value: Any) -> str:
    """Return ``value`` as one line, with a space in the place of control characters; empty for None."""
    return "" if value is None else _CONTROL_CHARACTERS.sub(" ", str(value)).strip()


def remove_control_characters(text: str) -> str:
    """Return ``text`` without control characters, line breaks and tabs included."""
    return _CONTROL_CHARACTERS.sub("", text)


def remove_colours(text: str) -> str:
    """Return ``text`` without the escape sequences of colours."""
    return _COLOUR.sub("", text)


def remove_escape_sequences(text: str) -> str:
    """Return ``text`` without the escape sequences of a terminal: colours, cursor movements, titles, links."""
    return _ESCAPE_SEQUENCE.sub("", text)


def escape_unprintable(text: str) -> str:
    r"""Return ``text`` with an escape, such as ``\x1b``, in the place of each character that is not printable."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
