"""Path templates: the variables in ``/voices/{voice_id}/{file:path}``."""

from __future__ import annotations

import re
from collections.abc import Container

# A variable without a name ({}, {*}, {:path}) is text: no caller can set it.
VARIABLE = re.compile(r"\{(?!(?:\+|\*|:path)?\})([^{}]*)\}")
_NAMELESS = re.compile(r"\{(?:\+|\*|:path)?\}")
# RFC 6570's {name+} and the routers' {name:path}: the value may contain slashes.
_OPERATOR = re.compile(r"(?:\+|\*|:path)\Z")


def parse_variable_name(text: str, declared: Container[str] = ()) -> str:
    """Return the name of the variable ``{text}`` for callers: without its operator, unless it is ``declared`` with it."""
    return text if text in declared else _OPERATOR.sub("", text)


def find_nameless_variable(template: str) -> str | None:
    """Return the first variable in ``template`` without a name, or None."""
    match = _NAMELESS.search(template)
    return match[0] if match else None
