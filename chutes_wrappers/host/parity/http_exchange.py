"""One HTTP request, whose result is a value also when it fails."""

from __future__ import annotations

import time
from typing import Any

import requests

from chutes_wrappers.host.http_sessions import HostSession
from chutes_wrappers.host.parity.comparison import HttpResponse


def send_request(method: str, url: str, *, timeout_s: float, **options: Any) -> HttpResponse:
    """Return the response to a request, read completely. Redirects are not followed. ``options`` are those of requests.

    Never raises for a network error.
    """
    started = time.monotonic()
    try:
        with HostSession() as session:
            response = session.request(method, url, timeout=timeout_s, **options)
    except requests.RequestException as error:
        return HttpResponse(
            status=0, seconds=time.monotonic() - started, problem=f"{type(error).__name__}: {error}"[:300]
        )
    return HttpResponse(
        status=response.status_code,
        content_type=response.headers.get("Content-Type", ""),
        body=response.content,
        seconds=time.monotonic() - started,
    )
