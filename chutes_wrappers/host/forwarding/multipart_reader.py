"""Multipart bodies and forms, as clients write them, read into fields. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

_PARAMETER = re.compile(r';\s*([\w*-]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^;\s]*))')


class NotMultipart(Exception):
    """A body that its own media type misdescribes."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One part: a file when ``filename`` is not None."""

    name: str
    data: bytes
    filename: str | None = None
    content_type: str = ""


def fields_of(content_type: str, body: bytes) -> list[Field]:
    """The parts of a ``multipart/form-data`` body, in order. NotMultipart says what is wrong with it."""
    boundary = parameters(content_type).get("boundary", "").encode("latin-1")
    if not boundary:
        raise NotMultipart("the Content-Type names no boundary")
    # A delimiter begins a line; the first may be at the very beginning.
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise NotMultipart("the body does not end with its boundary")
    return [_field(piece) for piece in pieces[1:-1]]


def parameters(header: str) -> dict[str, str]:
    """The parameters of a header like Content-Disposition; ``name*`` (RFC 5987) counts more than ``name``."""
    found = {
        name.lower(): re.sub(r'\\(["\\])', r"\1", quoted) or bare for name, quoted, bare in _PARAMETER.findall(header)
    }
    for name, value in [*found.items()]:
        charset, _, encoded = value.partition("''")
        if name.endswith("*") and charset:
            found[name[:-1]] = unquote(encoded, encoding=charset, errors="replace")
    return found


def _field(piece: bytes) -> Field:
    head, found, data = piece.partition(b"\r\n\r\n")
    if not found:
        raise NotMultipart("a part has no headers")
    headers = _headers(head)
    disposition = parameters(headers.get("content-disposition", ""))
    if "name" not in disposition:
        raise NotMultipart("a part has no name")
    return Field(
        name=_unescaped(disposition["name"]),
        data=data,
        filename=_unescaped(disposition["filename"]) if "filename" in disposition else None,
        content_type=headers.get("content-type", ""),
    )


def _headers(head: bytes) -> dict[str, str]:
    lines: Iterator[str] = (line.decode("utf-8", "replace") for line in head.split(b"\r\n"))
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _unescaped(text: str) -> str:
    """Browsers write a quote or a line break in a name as %22, %0D and %0A, and nothing else so."""
    return text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
