"""The text protocol of the tunnel: a call is one JSON object, its response is lines. Pure; both ends use it.

The platform forwards a stream line by line and reads every line as UTF-8 (PLATFORM.md, section 3). So a response is lines
of ASCII: its head, its bytes in base64 as they arrive, and an end; without an end it was truncated. Bytes for which HTTP
does not define a character set (header values, reasons) are latin-1 in the JSON, which can represent each of them.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pybase64

# A legal public path for SDK and API (PLATFORM.md, section 2) that no service uses.
PUBLIC_PATH = "/cw-tunnel"
MAX_DATA_BYTES = 128 * 1024
# The SDK and the forwarder read lines with aiohttp, which has a limit; a line is at most this long.
MAX_LINE_BYTES = 4 * 1024**2

Header = tuple[str, str]


class TunnelBroken(Exception):
    """A line that is not a valid frame, or a response without its end."""


@dataclass(frozen=True, kw_only=True)
class TunnelCall:
    """One HTTP request for the service on ``port``; ``target`` is its path and query, unchanged."""

    port: int
    method: str
    target: str
    headers: tuple[Header, ...] = ()
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Head:
    """Status line and headers of the response; headers are repeated and ordered as the service sent them."""

    status: int
    reason: str = ""
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True)
class Data:
    """The next bytes of the response's body."""

    data: bytes


@dataclass(frozen=True)
class Wait:
    """A keepalive: keeps the connection open, and shows whether the client is still connected."""


@dataclass(frozen=True)
class End:
    """The end of a complete response."""


@dataclass(frozen=True)
class Failure:
    """The response, or the rest of it, is not available."""

    error: str


Frame = Head | Data | Wait | End | Failure


def iter_call_pieces(call: TunnelCall) -> Iterator[bytes]:
    """Yield the JSON object of ``call`` in pieces: the body is the last key, so that it need never be held twice."""
    head = {"port": call.port, "method": call.method, "target": call.target, "headers": call.headers}
    yield json.dumps(head)[:-1].encode() + b', "body": "'
    step = MAX_DATA_BYTES // 3 * 3
    for start in range(0, len(call.body), step):
        yield pybase64.b64encode(call.body[start : start + step])
    yield b'"}'


def compute_call_length(call: TunnelCall) -> int:
    """Return the number of bytes that ``iter_call_pieces`` yields."""
    without_body = TunnelCall(port=call.port, method=call.method, target=call.target, headers=call.headers)
    return sum(map(len, iter_call_pieces(without_body))) + (len(call.body) + 2) // 3 * 4


def encode(frame: Frame) -> bytes:
    """Return ``frame`` as lines; more bytes than ``MAX_DATA_BYTES`` become several lines."""
    if isinstance(frame, Data):
        starts = range(0, len(frame.data), MAX_DATA_BYTES)
        return b"".join(pybase64.b64encode(frame.data[at : at + MAX_DATA_BYTES]) + b"\n" for at in starts)
    return json.dumps(_fields_from_frame(frame)).encode() + b"\n"


def decode(line: bytes) -> Frame:
    """Parse the frame in ``line``. Raises TunnelBroken for anything else, and for a line without its end."""
    text = line.removesuffix(b"\n")
    if text == line:
        raise TunnelBroken("the response was truncated in the middle of a line")
    try:
        return (
            _frame_from_fields(json.loads(text))
            if text.startswith(b"{")
            else Data(pybase64.b64decode(text, validate=True))
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, binascii.Error) as error:
        raise TunnelBroken(f"not a line of a tunnel: {text[:200]!r}") from error


def _fields_from_frame(frame: Head | Wait | End | Failure) -> dict[str, Any]:
    if isinstance(frame, Head):
        return {"status": frame.status, "reason": frame.reason, "headers": frame.headers}
    if isinstance(frame, Failure):
        return {"error": frame.error}
    return {"wait": True} if isinstance(frame, Wait) else {"end": True}


def _frame_from_fields(fields: dict[str, Any]) -> Frame:
    if "status" in fields:
        return _parse_head(fields)
    if "error" in fields:
        return Failure(str(fields["error"]))
    kinds: dict[str, Frame] = {"wait": Wait(), "end": End()}
    (kind,) = fields
    return kinds[kind]


def _parse_head(fields: dict[str, Any]) -> Head:
    status, reason = fields["status"], fields["reason"]
    headers = tuple((name, value) for name, value in fields["headers"])
    texts = [reason, *(text for header in headers for text in header)]
    if type(status) is not int or not all(isinstance(text, str) for text in texts):
        raise TypeError("a head is an integer and texts")
    return Head(status=status, reason=reason, headers=headers)
