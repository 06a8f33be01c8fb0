"""What a client of the tunnel asks for: read without holding it twice, and checked before anything is connected. Pure."""

from __future__ import annotations

import binascii
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import unquote

import orjson
import pybase64

from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.tunnel_frames import Header, TunnelCall

LARGEST_CALL_BYTES = 1024**3
_BODY_KEY = re.compile(rb'"body"\s*:\s*"')
_LONGEST_BODY_KEY = 64
_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(r"/[\x21-\x7e]*")
_VALUE = re.compile(r"[^\r\n\0]*")
_KEYS = frozenset({"port", "method", "target", "headers", "body"})
_MOST_ENCODINGS = 4
# RFC 9110, section 7.6.1. Transfer-Encoding stays: it says how the client framed the body, and the service may care.
_HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer", "upgrade",
})  # fmt: skip


class CallReader:
    """Takes the JSON object of a call in pieces; its ``body`` is decoded as it comes, and never held as text.

    The key is found by its bytes: inside a JSON string its quotes would be escaped. The base64 needs no unescaping: whatever
    the client wrote, it is the SDK's ``json.dumps`` that is read here.
    """

    def __init__(self) -> None:
        self._around = bytearray()
        self._body: bytearray | None = None
        self._undecoded = b""
        self._ended = False
        self._size = 0

    def feed(self, piece: bytes) -> None:
        """Take the next piece; CallRefused as soon as the call cannot be right any more."""
        self._size += len(piece)
        if self._size > LARGEST_CALL_BYTES:
            raise CallFailed(f"the call is larger than {LARGEST_CALL_BYTES // 1024**2} MiB")
        if self._body is None:
            self._look_for_body(piece)
        elif self._ended:
            self._around += piece
        else:
            self._feed_body(piece)

    def finish(self, ports: Collection[int]) -> TunnelCall:
        """The call, when it is one for one of ``ports``; CallRefused names what is wrong with it."""
        try:
            fields = orjson.loads(self._around)
        except orjson.JSONDecodeError as error:
            raise CallFailed(f"the call is not a JSON object: {error}") from error
        return _checked(fields, bytes(self._body or b""), ports)

    def _look_for_body(self, piece: bytes) -> None:
        searched = max(0, len(self._around) - _LONGEST_BODY_KEY)
        self._around += piece
        if match := _BODY_KEY.search(self._around, searched):
            rest = bytes(self._around[match.end() :])
            del self._around[match.end() :]
            self._body = bytearray()
            self._feed_body(rest)

    def _feed_body(self, piece: bytes) -> None:
        assert self._body is not None
        text, quote, rest = piece.partition(b'"')
        text = self._undecoded + text
        usable = len(text) if quote else len(text) // 4 * 4
        self._undecoded = text[usable:]
        try:
            self._body += pybase64.b64decode(text[:usable], validate=True)
        except (binascii.Error, ValueError) as error:
            raise CallFailed(f"`body` is not base64: {error}") from error
        if quote:
            self._ended = True
            self._around += quote + rest


def hop_by_hop(headers: Collection[Header]) -> frozenset[str]:
    """The lower-case names of the headers that are between two neighbours only."""
    named = (
        part.strip().lower() for name, value in headers if name.lower() == "connection" for part in value.split(",")
    )
    return _HOP_BY_HOP | frozenset(named)


def _checked(fields: Any, body: bytes, ports: Collection[int]) -> TunnelCall:
    if not isinstance(fields, Mapping) or set(fields) - _KEYS or not {"port", "method", "target"} <= set(fields):
        raise CallFailed(
            'a call is {"port", "method", "target": path and query, "headers": [[name, value], …], "body": base64}'
        )
    if fields.get("body") not in ("", None):
        raise CallFailed("`body` is not a string in base64, or is there twice")
    port = fields["port"]
    if type(port) is not int or port not in ports:
        raise CallFailed(f"`port` is not one that this tunnel leads to ({', '.join(map(str, sorted(ports)))})")
    return TunnelCall(
        port=port,
        method=_method(fields["method"]),
        target=_target(fields["target"], fields["method"]),
        headers=_headers(fields.get("headers") or ()),
        body=body,
    )


def _method(method: Any) -> str:
    if not isinstance(method, str) or not _TOKEN.fullmatch(method) or method.upper() == "CONNECT":
        raise CallFailed("`method` is not an HTTP method that a tunnel carries")
    return method


def _target(target: Any, method: str) -> str:
    if target == "*" and method == "OPTIONS":
        return "*"
    if not isinstance(target, str) or not _TARGET.fullmatch(target) or "#" in target:
        raise CallFailed("`target` is not a path and query of ASCII that begins with '/'; hosts cannot be named")
    path = target.partition("?")[0]
    for _ in range(_MOST_ENCODINGS):
        if any(segment.split(";")[0] == ".." for segment in re.split(r"[/\\]", path)):
            raise CallFailed("`target` holds the segment '..'")
        path = unquote(path)
    return target


def _headers(headers: Any) -> tuple[Header, ...]:
    if not isinstance(headers, list) and headers != ():
        raise CallFailed("`headers` is not a list of [name, value]")
    checked = tuple(_header(pair) for pair in headers)
    dropped = hop_by_hop(checked)
    return tuple((name, value) for name, value in checked if name.lower() not in dropped)


def _header(pair: Any) -> Header:
    if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
        raise CallFailed("`headers` is not a list of [name, value]")
    name, value = pair
    value = value.strip(" \t")
    if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value) or any(ord(character) > 255 for character in value):
        raise CallFailed(f"the header {name[:100]!r} cannot be sent: a name is a token, a value one line of latin-1")
    return name, value
