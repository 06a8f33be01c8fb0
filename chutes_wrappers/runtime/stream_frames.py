"""A service's streamed answer → lines that the platform carries. Pure.

The SDK hands a native stream on line by line, and the platform reads each as UTF-8 (PLATFORM.md, sections 2 and 3). So a frame
is whole lines of text: event streams and JSON lines as they are, anything else as server-sent events of ours.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Any, Protocol

import orjson
from pybase64 import b64encode

# aiohttp, with which the SDK reads, gives up on a line of twice its 8 MiB buffer (SDK chute/cord.py).
MAX_LINE_BYTES = 8 * 1024**2
_LINE_TYPES = frozenset({
    "text/event-stream", "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
    "application/jsonlines", "application/json-seq", "application/stream+json", "application/json",
})  # fmt: skip
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s;"]+)', re.IGNORECASE)
# As Python calls them.
_WEB_CHARSET = re.compile(
    r"ascii|utf-8|utf-16-[bl]e|iso8859-\d+|cp\d+|koi8-[ru]|big5\w*|euc_\w+|gb\w+|iso2022_\w+|shift_jis\w*|tis-620"
)


class LineTooLong(Exception):
    """A line that no stream of the platform can carry."""


class Framing(Protocol):
    """Turns pieces of an answer into frames: bytes that end with a line feed and are UTF-8."""

    def feed(self, piece: bytes) -> bytes:
        """What can be sent now that ``piece`` has come; may be empty. LineTooLong when it never can."""

    def finish(self) -> bytes:
        """What is left when the answer is complete."""


def select_framing(content_type: str) -> Framing:
    """The framing for an answer of this media type."""
    kind = content_type.split(";")[0].strip().lower()
    if kind in _LINE_TYPES or kind.endswith("+json"):
        return _Lines()
    return _TextEvents(_parse_charset(content_type)) if kind.startswith("text/") else _BinaryEvents(content_type)


def encode_event(value: Any) -> bytes:
    """One server-sent event with ``value`` as JSON."""
    return b"data: " + orjson.dumps(value) + b"\n\n"


class _Lines:
    """Whole lines, as they are."""

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


class _TextEvents:
    """``{"text": …}`` for each piece in ``charset``, whose characters are whole."""

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
    """The charset that a media type names, if it is one of the web's: Python's other codecs are no text, or raise."""
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
