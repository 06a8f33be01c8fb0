"""Parser of a client's call to the tunnel: it never holds the body twice, and checks the call before any connection. Pure."""

from __future__ import annotations

import binascii
import io
import re
from collections.abc import Collection, Mapping
from typing import Any

import orjson
import pybase64

from chutes_wrappers.core.path_segments import find_path_problem
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.tunnel_frames import Header, TunnelCall

MAX_CALL_BYTES = 1024**3
_BODY_KEY = re.compile(rb'"body"\s*:\s*"')
_MAX_BODY_KEY_LENGTH = 64
_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(r"/[\x21-\x7e]*")
_VALUE = re.compile(r"[^\r\n\0]*")
_KEYS = frozenset({"port", "method", "target", "headers", "body"})
# RFC 9110, section 7.6.1. Transfer-Encoding stays: it shows how the client framed the body, which may matter to the
# service.
_HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer", "upgrade",
})  # fmt: skip


class CallReader:
    """Reads the JSON object of a call in pieces; its ``body`` is decoded as it arrives, and never held as text.

    The key is found by its bytes: inside a JSON string its quotes would be escaped. The base64 needs no unescaping:
    whatever the client sent, this text was written by the SDK's ``json.dumps``.
    """

    def __init__(self) -> None:
        self._envelope = bytearray()
        self._body: io.BytesIO | None = None
        self._undecoded = b""
        self._has_body_ended = False
        self._size = 0

    def feed(self, piece: bytes) -> None:
        """Read the next piece. Raises CallFailed as soon as the call is invalid."""
        self._size += len(piece)
        if self._size > MAX_CALL_BYTES:
            raise CallFailed(f"the call is larger than {MAX_CALL_BYTES // 1024**2} MiB")
        if self._body is None:
            self._look_for_body(piece)
        elif self._has_body_ended:
            self._envelope += piece
        else:
            self._feed_body(piece)

    def finish(self, ports: Collection[int]) -> TunnelCall:
        """Return the call, if it is one for one of ``ports``. Raises CallFailed with what is invalid."""
        try:
            fields = orjson.loads(self._envelope)
        except orjson.JSONDecodeError as error:
            raise CallFailed(f"the call is not a JSON object: {error}") from error
        # Without a copy: the bytes are those that were written.
        return _parse_call(fields, self._body.getvalue() if self._body is not None else b"", ports)

    def _look_for_body(self, piece: bytes) -> None:
        search_start = max(0, len(self._envelope) - _MAX_BODY_KEY_LENGTH)
        self._envelope += piece
        if match := _BODY_KEY.search(self._envelope, search_start):
            rest = bytes(self._envelope[match.end() :])
            del self._envelope[match.end() :]
            self._body = io.BytesIO()
            self._feed_body(rest)

    def _feed_body(self, piece: bytes) -> None:
        assert self._body is not None
        text, quote, rest = piece.partition(b'"')
        text = self._undecoded + text
        decodable = len(text) if quote else len(text) // 4 * 4
        self._undecoded = text[decodable:]
        try:
            self._body.write(pybase64.b64decode(text[:decodable], validate=True))
        except (binascii.Error, ValueError) as error:
            raise CallFailed(f"`body` is not base64: {error}") from error
        if quote:
            self._has_body_ended = True
            self._envelope += quote + rest


def find_hop_by_hop_names(headers: Collection[Header]) -> frozenset[str]:
    """Return the lower-case names of the hop-by-hop headers."""
    names = (
        part.strip().lower() for name, value in headers if name.lower() == "connection" for part in value.split(",")
    )
    return _HOP_BY_HOP | frozenset(names)


def _parse_call(fields: Any, body: bytes, ports: Collection[int]) -> TunnelCall:
    if not isinstance(fields, Mapping) or set(fields) - _KEYS or not {"port", "method", "target"} <= set(fields):
        raise CallFailed(
            'a call must be {"port", "method", "target": path and query, "headers": [[name, value], …], "body": base64}'
        )
    if fields.get("body") not in ("", None):
        raise CallFailed("`body` is not a base64 string, or exists twice")
    port = fields["port"]
    if type(port) is not int or port not in ports:
        raise CallFailed(f"`port` is not a port of this tunnel ({', '.join(map(str, sorted(ports)))})")
    return TunnelCall(
        port=port,
        method=_parse_method(fields["method"]),
        target=_parse_target(fields["target"], fields["method"]),
        headers=_parse_headers(fields.get("headers") or ()),
        body=body,
    )


def _parse_method(method: Any) -> str:
    if not isinstance(method, str) or not _TOKEN.fullmatch(method) or method.upper() == "CONNECT":
        raise CallFailed("`method` is not an HTTP method that the tunnel supports")
    return method


def _parse_target(target: Any, method: str) -> str:
    if target == "*" and method == "OPTIONS":
        return "*"
    if not isinstance(target, str) or not _TARGET.fullmatch(target) or "#" in target:
        raise CallFailed("`target` is not an ASCII path and query that starts with '/'; hosts are not allowed")
    if problem := find_path_problem(target.partition("?")[0]):
        raise CallFailed(f"the path of `target` {problem}")
    return target


def _parse_headers(headers: Any) -> tuple[Header, ...]:
    if not isinstance(headers, list) and headers != ():
        raise CallFailed("`headers` is not a list of [name, value]")
    parsed = tuple(_parse_header(pair) for pair in headers)
    removed = find_hop_by_hop_names(parsed)
    return tuple((name, value) for name, value in parsed if name.lower() not in removed)


def _parse_header(pair: Any) -> Header:
    if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
        raise CallFailed("`headers` is not a list of [name, value]")
    name, value = pair
    value = value.strip(" \t")
    if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value) or any(ord(character) > 255 for character in value):
        raise CallFailed(f"the header {name[:100]!r} is invalid: a name must be a token, a value one line of latin-1")
    return name, value
