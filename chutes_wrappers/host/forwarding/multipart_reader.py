"""Parser of multipart bodies as clients write them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

_PARAMETER = re.compile(r';\s*([\w*-]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^;\s]*))')
_DELIMITER_END = re.compile(rb"(--)?[ \t]*(?=\r\n|\Z)")
_KNOWN = frozenset({"content-disposition", "content-type", "content-length", "name", "name*", "filename", "filename*"})


class InvalidMultipart(Exception):
    """A body that is not valid for its media type."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One part: a file when ``filename`` is not None. ``others`` are its other headers, and parameters of its disposition."""

    name: str
    data: bytes
    filename: str | None = None
    content_type: str = ""
    others: tuple[tuple[str, str], ...] = ()


def parse_multipart(content_type: str, body: bytes) -> list[Field]:
    """Parse the parts of a ``multipart/form-data`` body, in order. Raise InvalidMultipart with the reason."""
    boundary = parse_parameters(content_type).get("boundary", "").encode("latin-1", "replace")
    if not boundary:
        raise InvalidMultipart("the Content-Type has no boundary")
    parts: list[Field] = []
    previous_end = None
    for start, end, is_last in _iter_delimiters(b"--" + boundary, body):
        if previous_end is not None:
            parts.append(_parse_part(body[previous_end:start]))
        if is_last:
            return parts
        previous_end = end
    raise InvalidMultipart("the body does not end with its boundary")


def parse_parameters(header: str) -> dict[str, str]:
    """Parse the parameters of a header such as Content-Disposition; ``name*`` (RFC 5987) overrides ``name``.

    Raises InvalidMultipart for an unknown charset, and for a value that is not in it.
    """
    parameters = {
        name.lower(): re.sub(r'\\(["\\])', r"\1", quoted) or bare for name, quoted, bare in _PARAMETER.findall(header)
    }
    for name, value in [*parameters.items()]:
        charset, _, encoded = value.partition("''")
        if name.endswith("*") and charset:
            try:
                parameters[name[:-1]] = unquote_to_bytes(encoded).decode(charset)
            except UnicodeDecodeError as error:
                raise InvalidMultipart(f"{encoded[:100]!r} is not {charset[:100]}, in {name}") from error
            except (LookupError, ValueError) as error:  # some of Python's codecs are not for text
                raise InvalidMultipart(f"{charset[:100]!r} is not a known charset, in {name}") from error
    return parameters


def _iter_delimiters(delimiter: bytes, body: bytes) -> Iterator[tuple[int, int, bool]]:
    """Yield the start and end of each line that is a delimiter, and whether it is the last. The first may begin the body."""
    start = body.find(delimiter)
    while start >= 0:
        match = _DELIMITER_END.match(body, start + len(delimiter))
        if match and (start == 0 or body[start - 2 : start] == b"\r\n"):
            yield max(start - 2, 0), match.end(), bool(match[1])
        start = body.find(delimiter, start + 1)


def _parse_part(piece: bytes) -> Field:
    head, separator, data = piece.partition(b"\r\n\r\n")
    if not separator:
        raise InvalidMultipart("a part has no headers")
    headers = _parse_headers(head)
    disposition = parse_parameters(headers.get("content-disposition", ""))
    if "name" not in disposition:
        raise InvalidMultipart("a part has no name")
    return Field(
        name=_unescape(disposition["name"]),
        data=data,
        filename=_unescape(disposition["filename"]) if "filename" in disposition else None,
        content_type=headers.get("content-type", ""),
        others=tuple(sorted(pair for pair in [*headers.items(), *disposition.items()] if not _is_known(*pair))),
    )


def _is_known(name: str, value: str) -> bool:
    # The encodings that change nothing (RFC 2045, section 6.2), which clients in Java name.
    is_identity = name == "content-transfer-encoding" and value.lower() in ("binary", "8bit", "7bit")
    return is_identity or name in _KNOWN


def _parse_headers(head: bytes) -> dict[str, str]:
    lines: Iterator[str] = (line.decode("utf-8", "surrogateescape") for line in head.split(b"\r\n"))
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _unescape(text: str) -> str:
    """Decode %22, %0D and %0A, the only characters that browsers encode in a name."""
    return text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
