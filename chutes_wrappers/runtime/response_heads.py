"""Heads of responses, as browsers and curl read them: what RFC 9110 and 9112 allow a client to repair is repaired. Pure.

aiohttp refuses two equal Content-Lengths (RFC 9110, section 8.6) and a length beside chunks (RFC 9112, section 6.3). It also
refuses a space before a colon (RFC 9112, section 5.1). Services send them, and their usual clients do not notice.
"""

from __future__ import annotations

import re

# Status line and headers of one response together. Browsers take 256 KiB to 512 KiB. As JSON of a tunnel frame, each byte may
# need six, and its line has 4 MiB.
MAX_HEAD_BYTES = 512 * 1024
_QUOTED_BYTES = 40
_BEGINNING = b"HTTP/"
_HEAD_END = re.compile(rb"\n\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_INTERIM_STATUS = re.compile(rb"HTTP/\d\.\d 1(?!01)\d\d")
_TOKEN = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
# A space in a name, a folded line, or a line without a colon.
_ODD_LINE = re.compile(rb"\n(?!\r?\n)[^:\r\n \t]*[ \t\r\n]")
_LENGTH, _CODING = b"\ncontent-length:", b"\ntransfer-encoding:"
_Headers = list[tuple[bytes, bytes]]


class InvalidHead(ValueError):
    """The head of a response is larger than MAX_HEAD_BYTES, or contradicts itself. The message is one for users."""


class NotHTTP(InvalidHead):
    """The bytes are not a response of HTTP/1."""

    _PREFIX = "not HTTP: it begins with "

    def __init__(self, data: bytes) -> None:
        super().__init__(f"{self._PREFIX}{data[:_QUOTED_BYTES]!r}")

    @classmethod
    def is_reason(cls, reason: str) -> bool:
        """Return whether ``reason``, for which a response was refused, is this one: aiohttp replaces the exception."""
        return reason.startswith(cls._PREFIX)


class HeadReader:
    """Reads one response in pieces, interim responses (1xx) before it included; what follows its head is unchanged."""

    def __init__(self) -> None:
        self._pending = b""
        self._is_in_head = True

    def feed(self, data: bytes) -> bytes:
        """Return what can be parsed now: whole heads, repaired, and the bytes after them. Raises InvalidHead."""
        if not self._is_in_head:
            return data
        if not self._pending and _is_usual(data):
            self._is_in_head = False
            return data
        ready, rest = b"", self._pending + data
        while self._is_in_head and (match := _find_end(rest := rest.lstrip(b"\r\n"))):
            head, rest = rest[: match.end()], rest[match.end() :]
            self._is_in_head = bool(_INTERIM_STATUS.match(head))
            ready += repair_head(head)
        if self._is_in_head:
            self._pending = rest
            return ready
        self._pending = b""
        return ready + rest

    def finish(self) -> bytes:
        """Return the beginning of a head that has no end."""
        rest, self._pending = self._pending, b""
        return rest


def _is_usual(data: bytes) -> bool:
    """Return whether ``data`` begins with a whole head that needs no repair: nothing is copied then."""
    if not data.startswith(_BEGINNING) or _INTERIM_STATUS.match(data):
        return False
    match = _find_end(data)
    return match is not None and not _needs_repair(data[: match.end()])


def _find_end(data: bytes) -> re.Match[bytes] | None:
    if not _BEGINNING.startswith(data[: len(_BEGINNING)]):
        raise NotHTTP(data)
    match = _HEAD_END.search(data)
    if (match.end() if match else len(data)) > MAX_HEAD_BYTES:
        raise InvalidHead(f"its header is larger than {MAX_HEAD_BYTES // 1024} KiB")
    return match


def _needs_repair(head: bytes) -> bool:
    """Return whether a repair may change ``head``. Every response is checked, so this is fast."""
    text = head.lower()
    position = text.find(_LENGTH)
    if position >= 0:
        length = text[position + len(_LENGTH) : text.find(b"\n", position + 1)]
        if (
            b"," in length
            or _CODING in text
            or text.count(_LENGTH) > 1
            or (_is_bodiless(head) and length.strip() != b"0")
        ):
            return True
    elif _CODING in text and (b"identity" in text or text.count(_CODING) > 1):
        return True
    return _ODD_LINE.search(head) is not None


def repair_head(head: bytes) -> bytes:
    """Return ``head``, a status line and headers with the empty line at their end, without what only a strict parser refuses.

    Raises InvalidHead for lengths that differ.
    """
    if not _needs_repair(head):
        return head
    status, *lines = _LINE_END.split(head.rstrip(b"\r\n"))
    headers = _repair_lengths(_repair_codings(_read_headers(lines)), can_have_body=not _is_bodiless(status))
    return b"\r\n".join([status, *(b": ".join(header) for header in headers), b"", b""])


def _is_bodiless(status: bytes) -> bool:
    return status[9:10] == b"1" or status[9:12] == b"204"


def _read_headers(lines: list[bytes]) -> _Headers:
    """Return names and values, folded lines joined, without lines that are not headers."""
    headers: _Headers = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if line[:1] in (b" ", b"\t"):
            if headers:
                headers[-1] = (headers[-1][0], headers[-1][1] + b" " + line.strip())
        elif colon and _TOKEN.fullmatch(name.rstrip()):
            headers.append((name.rstrip(), value.strip()))
    return headers


def _repair_codings(headers: _Headers) -> _Headers:
    """Return ``headers`` with one Transfer-Encoding ``chunked`` for several, and without ``identity``."""
    codings = _split_values(headers, b"transfer-encoding")
    if not codings or not codings <= {b"chunked", b"identity"}:
        return headers
    others = _drop_header(headers, b"transfer-encoding")
    return [*others, (b"Transfer-Encoding", b"chunked")] if b"chunked" in codings else others


def _repair_lengths(headers: _Headers, *, can_have_body: bool) -> _Headers:
    """Return ``headers`` with one Content-Length for equal ones, and with none for a body in chunks, or for no body."""
    lengths = _split_values(headers, b"content-length")
    others = _drop_header(headers, b"content-length")
    if not can_have_body or not lengths:
        return others
    if b"chunked" in _split_values(headers, b"transfer-encoding"):
        # What follows may have been meant as another response (RFC 9112, section 6.3).
        return [*_drop_header(others, b"connection"), (b"Connection", b"close")]
    if len(lengths) > 1:  # no client can know where such a response ends
        raise InvalidHead("it has different Content-Lengths")
    return [*others, (b"Content-Length", lengths.pop())]


def _split_values(headers: _Headers, wanted: bytes) -> set[bytes]:
    values = (value for name, value in headers if name.lower() == wanted)
    return {part.strip().lower() for value in values for part in value.split(b",") if part.strip()}


def _drop_header(headers: _Headers, dropped: bytes) -> _Headers:
    return [header for header in headers if header[0].lower() != dropped]
