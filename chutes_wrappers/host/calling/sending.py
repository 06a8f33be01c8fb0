"""The call itself: sent once, and read as it comes."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from chutes_wrappers.host.calling.target import Target
from chutes_wrappers.host.forwarding.chute_client import ChuteAddress
from chutes_wrappers.host.platform_api import error_responses
from chutes_wrappers.host.platform_api.api_client import PlatformUnreachable

_CONNECT_TIMEOUT_S = 30.0
_PIECE_BYTES = 64 * 1024


class _Bearer(requests.auth.AuthBase):
    """The key as the only credentials: without this, requests would put those of ``~/.netrc`` in its place."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


@dataclass(frozen=True, kw_only=True)
class CallResponse:
    """A call's answer, whose head is there. ``started`` is when the call began, monotonic."""

    status: int
    content_type: str
    started_at: float
    pieces: Iterator[bytes]

    @property
    def media_type(self) -> str:
        """The media type, without its parameters."""
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def milliseconds(self) -> int:
        """Since the call began."""
        return round((time.monotonic() - self.started_at) * 1000)


class Upload(io.BytesIO):
    """The body of a call, which says how much of it is on its way."""

    def __str__(self) -> str:
        sent, total = self.tell(), self.getbuffer().nbytes
        return f"sent {sent / 1e6:.1f} of {total / 1e6:.1f} MB" if sent < total else "no answer yet"


def build_upload(body: Mapping[str, Any] | None) -> Upload:
    """What a POST sends: JSON, without a ``body`` the empty object."""
    return Upload(json.dumps(body or {}).encode())


@contextlib.contextmanager
def send_call(address: ChuteAddress, target: Target, upload: Upload, *, timeout_s: float) -> Iterator[CallResponse]:
    """The answer to one call, which a POST sends ``upload`` with. Redirects are not followed.

    ``timeout_s``: how long nothing may come. PlatformUnreachable when the chute's host cannot be reached, stays silent for
    so long or breaks off, while ``pieces`` is read as well.
    """
    started_at = time.monotonic()
    with requests.Session() as session:
        session.auth = _Bearer(address.key)
        session.trust_env = not address.host and not address.is_local  # no proxy finds a name of this machine
        try:
            response = session.request(
                target.method,
                f"{address.url}{target.path}",
                data=None if target.method == "GET" else upload,
                headers=_build_headers(address, target.method),
                timeout=(min(_CONNECT_TIMEOUT_S, timeout_s), timeout_s),
                allow_redirects=False,
                stream=True,
            )
        except requests.RequestException as error:
            raise _build_unreachable_error(address, target, error, timeout_s) from error
        with contextlib.closing(response):
            yield CallResponse(
                status=response.status_code,
                content_type=response.headers.get("Content-Type", ""),
                started_at=started_at,
                pieces=_read_pieces(response, address, target, timeout_s),
            )


def _build_headers(address: ChuteAddress, method: str) -> dict[str, str]:
    headers = {"Host": address.host} if address.host else {}
    return headers if method == "GET" else {**headers, "Content-Type": "application/json"}


def _read_pieces(
    response: requests.Response, address: ChuteAddress, target: Target, timeout_s: float
) -> Iterator[bytes]:
    try:
        # Of a chunked answer, which a stream is, each chunk as it comes.
        yield from response.iter_content(_PIECE_BYTES)
    except (requests.RequestException, OSError) as error:
        raise _build_unreachable_error(address, target, error, timeout_s) from error


def _build_unreachable_error(
    address: ChuteAddress, target: Target, error: Exception, timeout_s: float
) -> PlatformUnreachable:
    detail = error_responses.format_detail(f"{type(error).__name__}: {error}", (address.key or "",))
    if "timed out" in detail:
        what = f"nothing came from the chute for {timeout_s:g} s"
        step = "it may still be at work, and is not called again: look with --status and --logs; --timeout waits longer"
    else:
        what = "the chute cannot be reached, or broke its answer off"
        step = "nothing is sent again: look with --status and --logs what came of the call"
    return PlatformUnreachable(
        what, where=f"{target.method} {address.display_url}{target.bare_path}", evidence=detail, next_step=step
    )
