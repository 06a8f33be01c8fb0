"""Conversion of a service's streamed response to lines that the platform supports. Pure.

The SDK forwards a native stream line by line, and the platform reads each as UTF-8 (PLATFORM.md, sections 2 and 3). So a
frame is whole lines of text: JSON lines are unchanged, event streams but for their line ends, and anything else becomes
server-sent events.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, Protocol

from pybase64 import b64encode

# The SDK reads with aiohttp, which fails for a line of twice its 8 MiB buffer (SDK chute/cord.py).
MAX_LINE_BYTES = 8 * 1024**2
_EVENT_TYPE = "text/event-stream"
_LINE_TYPES = frozenset({
    "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
    "application/jsonlines", "application/json-seq", "application/stream+json", "application/json",
})  # fmt: skip
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s;"]+)', re.IGNORECASE)
# Python's names.
_WEB_CHARSET = re.compile(
    r"ascii|utf-8|utf-16-[bl]e|iso8859-\d+|cp\d+|koi8-[ru]|big5\w*|euc_\w+|gb\w+|iso2022_\w+|shift_jis\w*|tis-620"
)


class LineTooLong(Exception):
    """A line that is too long for a stream of the platform."""


class Framing(Protocol):
    """Converts pieces of a response to frames: UTF-8 bytes that end with a line feed."""

    def feed(self, piece: bytes) -> bytes:
        """Return what can be sent after ``piece``; may be empty. Raises LineTooLong if it can never be sent."""

    def finish(self) -> bytes:
        """Return the rest when the response is complete."""


def select_framing(content_type: str) -> Framing:
    """Return the framing for a response of this media type."""
    kind = content_type.split(";")[0].strip().lower()
    if kind == _EVENT_TYPE:
        return _EventLines()
    if kind in _LINE_TYPES or kind.endswith("+json"):
        return _Lines()
    return _TextEvents(_parse_charset(content_type)) if kind.startswith("text/") else _BinaryEvents(content_type)


def encode_event(value: Any) -> bytes:
    """Return one server-sent event with ``value`` as JSON. It is ASCII: the API also ends a line at U+2028 and the like."""
    return b"data: " + json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n\n"


class _Lines:
    """Whole lines, unchanged."""

    def __init__(self) -> None:
        self._buffered: list[bytes] = []
        self._buffered_bytes = 0

    def feed(self, piece: bytes) -> bytes:
        end = piece.rfind(b"\n") + 1
        if not end:
            self._buffer(piece)
            return b""
        complete_lines = b"".join([*self._buffered, piece[:end]])
        self._buffered, self._buffered_bytes = [], 0
        self._buffer(piece[end:])
        return _to_utf8(complete_lines)

    def finish(self) -> bytes:
        remaining = b"".join(self._buffered)
        return _to_utf8(remaining) + b"\n" if remaining else b""

    def _buffer(self, piece: bytes) -> None:
        self._buffered.append(piece)
        self._buffered_bytes += len(piece)
        if self._buffered_bytes > MAX_LINE_BYTES:
            raise LineTooLong


class _EventLines(_Lines):
    """Lines of an event stream with a line feed at the end of each, and without a byte order mark.

    A line may also end with a carriage return alone, or with both (WHATWG HTML, section 9.2.5). The platform knows line feeds only.
    """

    _line_end = re.compile(rb"\r\n?")

    def __init__(self) -> None:
        super().__init__()
        self._beginning: bytes | None = b""
        self._is_after_return = False

    def feed(self, piece: bytes) -> bytes:
        piece = self._skip_byte_order_mark(piece)
        if not piece:
            return b""
        if self._is_after_return and piece.startswith(b"\n"):
            piece = piece[1:]
        self._is_after_return = piece.endswith(b"\r")
        return super().feed(self._line_end.sub(b"\n", piece))

    def finish(self) -> bytes:
        beginning, self._beginning = self._beginning, None
        return (super().feed(beginning) if beginning else b"") + super().finish()

    def _skip_byte_order_mark(self, piece: bytes) -> bytes:
        """Return ``piece``, or nothing while it may be the beginning of the mark."""
        if self._beginning is None:
            return piece
        piece = self._beginning + piece
        is_undecided = len(piece) < len(codecs.BOM_UTF8) and codecs.BOM_UTF8.startswith(piece)
        self._beginning = piece if is_undecided else None
        return b"" if is_undecided else piece.removeprefix(codecs.BOM_UTF8)


class _TextEvents:
    """``{"text": …}`` for each piece in ``charset``; characters are never split."""

    def __init__(self, charset: str) -> None:
        self._decoder = codecs.getincrementaldecoder(charset)("replace")

    def feed(self, piece: bytes) -> bytes:
        return b"".join(self._iter_events(self._decoder.decode(piece)))

    def finish(self) -> bytes:
        return b"".join(self._iter_events(self._decoder.decode(b"", final=True)))

    def _iter_events(self, text: str) -> Iterator[bytes]:
        if text:
            yield encode_event({"text": text})


class _BinaryEvents:
    """``{"content_type": …, "data": base64}`` for each piece."""

    def __init__(self, content_type: str) -> None:
        self._content_type = content_type or "application/octet-stream"

    def feed(self, piece: bytes) -> bytes:
        return encode_event({"content_type": self._content_type, "data": b64encode(piece).decode("ascii")})

    def finish(self) -> bytes:
        return b""


def _parse_charset(content_type: str) -> str:
    """Return the charset in a media type, if it is one of the web's: Python's other codecs are not for text, or raise."""
    match = _CHARSET.search(content_type)
    try:
        name = codecs.lookup(match[1]).name if match else ""
    except (LookupError, ValueError):
        name = ""
    return name if _WEB_CHARSET.fullmatch(name) else "utf-8"


def _to_utf8(lines: bytes) -> bytes:
    try:
        lines.decode("utf-8")
    except UnicodeDecodeError:
        return lines.decode("utf-8", "replace").encode()
    return lines
