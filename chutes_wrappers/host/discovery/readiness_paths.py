"""Paths that may report whether a service is ready. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from chutes_wrappers.core.routes import Route

WELL_KNOWN_PATHS = (
    "/health", "/healthz", "/ready", "/readyz", "/livez", "/api/health", "/v1/health", "/api/v1/health", "/healthcheck",
    "/health/ready", "/ping",
)  # fmt: skip
# No service has this path. A server that returns 2xx here returns it for every path, so 2xx does not mean ready.
NONEXISTENT_PATH = "/chutes-wrappers-asks-for-nothing"

_HEALTH_WORD = re.compile(r"/(health|healthz|healthcheck|heartbeat|ready|readyz|readiness|live|livez|liveness|ping)$")
_LOCAL_URL = re.compile(r"""https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\])(?::(\d{1,5}))?(/[^\s"'|;&)>]*)?""")


def find_health_check_path(health_check: Sequence[str], port: int) -> str | None:
    """Return the path on ``port`` that the health check of the image requests, or None."""
    for match in _LOCAL_URL.finditer(" ".join(health_check)):
        if int(match.group(1) or 80) == port:
            return match.group(2) or "/"
    return None


def select_candidates(routes: Iterable[Route]) -> tuple[str, ...]:
    """Return the paths to try: the well-known ones, then the service's GET routes that end in a health word."""
    route_paths = (route.target_path for route in routes if route.method == "GET" and not route.stream)
    return tuple(dict.fromkeys((*WELL_KNOWN_PATHS, *(path for path in route_paths if _HEALTH_WORD.search(path)))))
