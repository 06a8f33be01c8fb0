"""What travels through a tunnel, as text: a call as one JSON object, its answer as lines. Pure; both ends use it.

The platform hands a stream on line by line and reads every line as UTF-8 (PLATFORM.md, section 3), so an answer is lines of
ASCII: its head, its bytes in base64 as they come, and an end, without which it was cut off. Bytes that HTTP does not define a
character set for (header values, reasons) are latin-1 in the JSON, which can hold each of them.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pybase64

# Legal as a public path for SDK and API (PLATFORM.md, section 2), and no service's own.
PUBLIC_PATH = "/cw-tunnel"
MAX_DATA_BYTES = 128 * 1024
# aiohttp, with which the SDK and the forwarder read lines, has a limit; a line is at most this long.
MAX_LINE_BYTES = 4 * 1024**2

Header = tuple[str, str]


class TunnelBroken(Exception):
    """A line that is no frame, or an answer without its end."""


@dataclass(frozen=True, kw_only=True)
class TunnelCall:
    """One HTTP request for the service on ``port``; ``target`` is its path and query as they stood on the wire."""

    port: int
    method: str
    target: str
    headers: tuple[Header, ...] = ()
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Head:
    """Status line and headers of the answer; headers repeat and are in order, as the service sent them."""

    status: int
    reason: str = ""
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True)
class Data:
    """The next bytes of the answer's body."""

    data: bytes


@dataclass(frozen=True)
class Wait:
    """Nothing yet: keeps the connection open, and shows whether the client is still there."""


@dataclass(frozen=True)
class End:
    """The answer is complete."""


@dataclass(frozen=True)
class Failure:
    """The answer cannot be had, or not the rest of it."""

    error: str


Frame = Head | Data | Wait | End | Failure


def iter_call_pieces(call: TunnelCall) -> Iterator[bytes]:
    """The JSON object that asks for ``call``, in pieces: the body is the last key, so that it need never be held twice."""
    head = {"port": call.port, "method": call.method, "target": call.target, "headers": call.headers}
    yield json.dumps(head)[:-1].encode() + b', "body": "'
    step = MAX_DATA_BYTES // 3 * 3
    for start in range(0, len(call.body), step):
        yield pybase64.b64encode(call.body[start : start + step])
    yield b'"}'


def compute_call_length(call: TunnelCall) -> int:
    """How many bytes ``iter_call_pieces`` makes."""
    without_body = TunnelCall(port=call.port, method=call.method, target=call.target, headers=call.headers)
    return sum(map(len, iter_call_pieces(without_body))) + (len(call.body) + 2) // 3 * 4


def encode(frame: Frame) -> bytes:
    """``frame`` as lines; bytes beyond ``MAX_DATA_BYTES`` make several."""
    if isinstance(frame, Data):
        starts = range(0, len(frame.data), MAX_DATA_BYTES)
        return b"".join(pybase64.b64encode(frame.data[at : at + MAX_DATA_BYTES]) + b"\n" for at in starts)
    return json.dumps(_fields_from_frame(frame)).encode() + b"\n"


def decode(line: bytes) -> Frame:
    """The frame in ``line``; TunnelBroken for anything else, and for a line without its end."""
    text = line.removesuffix(b"\n")
    if text == line:
        raise TunnelBroken("the answer was cut off in the middle of a line")
    try:
        return (
            _frame_from_fields(json.loads(text))
            if text.startswith(b"{")
            else Data(pybase64.b64decode(text, validate=True))
        )
    except (ValueError, TypeError, KeyError, binascii.Error) as error:
        raise TunnelBroken(f"not a line of a tunnel: {text[:200]!r}") from error


def _fields_from_frame(frame: Head | Wait | End | Failure) -> dict[str, Any]:
    if isinstance(frame, Head):
        return {"status": frame.status, "reason": frame.reason, "headers": frame.headers}
    if isinstance(frame, Failure):
        return {"error": frame.error}
    return {"wait": True} if isinstance(frame, Wait) else {"end": True}


def _frame_from_fields(fields: dict[str, Any]) -> Frame:
    if "status" in fields:
        return Head(
            status=int(fields["status"]), reason=str(fields["reason"]), headers=_parse_headers(fields["headers"])
        )
    if "error" in fields:
        return Failure(str(fields["error"]))
    kinds: dict[str, Frame] = {"wait": Wait(), "end": End()}
    (kind,) = fields
    return kinds[kind]


def _parse_headers(pairs: Sequence[Sequence[str]]) -> tuple[Header, ...]:
    return tuple((str(name), str(value)) for name, value in pairs)
