"""One HTTP request, and whatever comes of it as a value."""

from __future__ import annotations

import time
from typing import Any

import requests

from chutes_wrappers.host.parity.comparison import Exchange


def requested(method: str, url: str, *, timeout_s: float, **more: Any) -> Exchange:
    """The answer to a request, read whole; redirects are followed. ``more`` is requests' own. Never raises for the network."""
    started = time.monotonic()
    try:
        answer = requests.request(method, url, timeout=timeout_s, **more)
    except requests.RequestException as error:
        return Exchange(status=0, seconds=time.monotonic() - started, problem=f"{type(error).__name__}: {error}"[:300])
    return Exchange(
        status=answer.status_code,
        content_type=answer.headers.get("Content-Type", ""),
        body=answer.content,
        seconds=time.monotonic() - started,
    )
