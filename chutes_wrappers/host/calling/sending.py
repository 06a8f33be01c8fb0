"""A call of a chute: sent once, with a streamed response."""

from __future__ import annotations

import contextlib
import io
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.platform_rules import BODILESS_METHODS, INVOCATION_HEADER, MAX_REQUEST_BYTES, TRACE_HEADER
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.calling.target import Target
from chutes_wrappers.host.forwarding.chute_client import ChuteAddress
from chutes_wrappers.host.http_sessions import HostSession, describe_unreadable
from chutes_wrappers.host.platform_api import error_responses
from chutes_wrappers.host.platform_api.api_client import PlatformUnreachable
from chutes_wrappers.host.platform_api.http_adapters import DeadlineAdapter

_CONNECT_TIMEOUT_S = 30.0
_PIECE_BYTES = 64 * 1024
# As much as a route of ours returns (runtime/gateway.py).
_MAX_RESPONSE_BYTES = 512 * 1024**2


@dataclass(frozen=True, kw_only=True)
class CallResponse:
    """The response to a call, after its head has arrived. ``started_at`` is the monotonic time of the call's start.

    ``invocation_id`` is the platform's name of the call, or empty.
    """

    status: int
    content_type: str
    invocation_id: str = ""
    started_at: float
    pieces: Iterator[bytes]

    @property
    def media_type(self) -> str:
        """The media type without parameters."""
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def milliseconds(self) -> int:
        """The time since the call started."""
        return round((time.monotonic() - self.started_at) * 1000)

    def read(self) -> bytes:
        """Return the rest of the body. Raise WrapperError for more than 512 MiB: another user's chute may send without an end."""
        pieces, size = [], 0
        for piece in self.pieces:
            size += len(piece)
            if size > _MAX_RESPONSE_BYTES:
                raise WrapperError(
                    f"the response is larger than {_MAX_RESPONSE_BYTES // 1024**2} MiB",
                    next_step="call again with --output FILE, which has no limit",
                )
            pieces.append(piece)
        return b"".join(pieces)


class Upload(io.BytesIO):
    """The body of a call; its text is the progress of the upload."""

    @property
    def size(self) -> int:
        """The length in bytes."""
        return self.getbuffer().nbytes

    def __str__(self) -> str:
        sent, total = self.tell(), self.size
        return f"sent {sent / 1e6:.1f} of {total / 1e6:.1f} MB" if sent < total else "no response yet"


def build_upload(body: Mapping[str, Any] | None) -> Upload:
    """Build the body of a POST: JSON, by default the empty object."""
    return Upload(json.dumps({} if body is None else body).encode())


@contextlib.contextmanager
def send_call(
    address: ChuteAddress,
    target: Target,
    upload: Upload,
    *,
    timeout_s: float,
    limit_s: float | None = None,
    is_traced: bool = False,
) -> Iterator[CallResponse]:
    """Send one call, with the body ``upload`` if its method has one, and yield its response. Redirects are not followed.

    ``is_traced`` requests events about the call. ``timeout_s`` limits each wait for data, ``limit_s`` the whole call, both in
    seconds. Raises PlatformUnreachable when the chute's host cannot be reached, times out, or closes the connection early; also
    while ``pieces`` is read.
    """
    started_at = time.monotonic()
    adapter = DeadlineAdapter()
    with HostSession(adapter) as session, _limit_call(limit_s, adapter.end):
        try:
            response = session.request(
                target.method,
                f"{address.url}{target.path}",
                data=None if target.method in BODILESS_METHODS else upload,
                headers=_build_headers(address, target.method, is_traced=is_traced),
                timeout=(min(_CONNECT_TIMEOUT_S, timeout_s), timeout_s),
                stream=True,
            )
        except requests.RequestException as error:
            raise _build_unreachable_error(address, target, error, timeout_s, upload) from error
        with contextlib.closing(response):
            yield CallResponse(
                status=response.status_code,
                content_type=response.headers.get("Content-Type", ""),
                invocation_id=clean_text(response.headers.get(INVOCATION_HEADER)),
                started_at=started_at,
                pieces=_read_pieces(response, address, target, timeout_s),
            )


@contextlib.contextmanager
def _limit_call(seconds: float | None, end: Callable[[], None]) -> Iterator[None]:
    """Call ``end`` in another thread if the block takes longer; it then fails with PlatformUnreachable."""
    if seconds is None:
        yield
        return
    is_late = threading.Event()

    def end_late() -> None:
        is_late.set()
        end()

    timer = threading.Timer(seconds, end_late)
    timer.daemon = True
    timer.start()
    try:
        yield
    except PlatformUnreachable as error:
        if is_late.is_set():
            error.what = _format_limit(seconds)
        raise
    finally:
        timer.cancel()
    if is_late.is_set():  # a body without a length looks complete when it is cut off
        raise PlatformUnreachable(_format_limit(seconds), next_step="check --status and --logs")


def _format_limit(seconds: float) -> str:
    return f"the call did not end within {seconds:g} s"


def _build_headers(address: ChuteAddress, method: str, *, is_traced: bool) -> dict[str, str]:
    key = {"Authorization": f"Bearer {address.key}"} if address.key else {}
    kind = {} if method in BODILESS_METHODS else {"Content-Type": "application/json"}
    return {**key, **kind, **({TRACE_HEADER: "true"} if is_traced else {})}


def _read_pieces(
    response: requests.Response, address: ChuteAddress, target: Target, timeout_s: float
) -> Iterator[bytes]:
    try:
        # A stream is a chunked response: each chunk is yielded as it arrives.
        yield from response.iter_content(_PIECE_BYTES)
    except (requests.RequestException, OSError) as error:
        raise _build_unreachable_error(address, target, error, timeout_s) from error


def _build_unreachable_error(
    address: ChuteAddress, target: Target, error: Exception, timeout_s: float, upload: Upload | None = None
) -> PlatformUnreachable:
    detail = error_responses.format_detail(f"{type(error).__name__}: {error}", (address.key or "",))
    if "timed out" in detail:
        what = f"the chute sent nothing for {timeout_s:g} s"
        step = "check --status and --logs, or wait longer with --timeout: the call may still be running, and is not sent again"
    elif upload is not None and upload.tell() and upload.size > MAX_REQUEST_BYTES:
        # A server may close the connection before it has read a body that it rejects.
        what = f"the connection closed while a body of {upload.size / 1024**2:.1f} MiB was sent"
        step = error_responses.select_call_step(413, "CHUTE", "")
    elif reason := describe_unreadable(error):
        what = f"the chute's response cannot be read: {reason}"
        step = "check that the URL is the chute's; the call may have been executed, and is not sent again"
    else:
        what = "the chute cannot be reached, or closed the connection early"
        step = "check the result of the call with --status and --logs: it is not sent again"
    return PlatformUnreachable(
        what, where=f"{target.method} {address.url}{target.bare_path}", evidence=detail, next_step=step
    )
