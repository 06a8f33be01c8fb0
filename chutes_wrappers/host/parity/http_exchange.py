"""One HTTP request, whose result is a value also when it fails."""

from __future__ import annotations

import time
from typing import Any

import requests

from chutes_wrappers.host.http_sessions import HostSession
from chutes_wrappers.host.parity.comparison import HttpResponse

# As much as a route returns (runtime/gateway.py). A stream may have no end.
_MAX_BODY_BYTES = 512 * 1024**2
_PIECE_BYTES = 1024**2


def send_request(method: str, url: str, *, timeout_s: float, **options: Any) -> HttpResponse:
    """Return the response to a request, read completely. Redirects are not followed. ``options`` are those of requests.

    Never raises for a network error, or for a response of more than 512 MiB.
    """
    started, body, problem = time.monotonic(), bytearray(), ""
    try:
        with (
            HostSession() as session,
            session.request(method, url, timeout=timeout_s, stream=True, **options) as response,
        ):
            for piece in response.iter_content(_PIECE_BYTES):
                body += piece
                if len(body) > _MAX_BODY_BYTES:
                    problem = f"the response is larger than {_MAX_BODY_BYTES // 1024**2} MiB"
                    break
    except requests.RequestException as error:
        problem = f"{type(error).__name__}: {error}"[:300]
    seconds = time.monotonic() - started
    if problem:
        return HttpResponse(status=0, seconds=seconds, problem=problem)
    content_type = response.headers.get("Content-Type", "")
    return HttpResponse(status=response.status_code, content_type=content_type, body=bytes(body), seconds=seconds)
