"""Path templates: the variables of ``/voices/{voice_id}/{file:path}``."""

from __future__ import annotations

import re
from collections.abc import Container

# What has no name ({}, {*}, {:path}) cannot be given by a caller: it is text.
VARIABLE = re.compile(r"\{(?!(?:\+|\*|:path)?\})([^{}]*)\}")
_NAMELESS = re.compile(r"\{(?:\+|\*|:path)?\}")
# RFC 6570's {name+} and the routers' {name:path}: the value may hold slashes.
_OPERATOR = re.compile(r"(?:\+|\*|:path)\Z")


def parse_variable_name(text: str, declared: Container[str] = ()) -> str:
    """What callers call the variable ``{text}``: its name without an operator, unless one is ``declared`` with it."""
    return text if text in declared else _OPERATOR.sub("", text)


def find_nameless_variable(template: str) -> str | None:
    """The first variable in ``template`` that has no name, or None."""
    match = _NAMELESS.search(template)
    return match[0] if match else None
