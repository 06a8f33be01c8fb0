from __future__ import annotations

import pytest

from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.discovery.readiness_paths import WELL_KNOWN_PATHS, find_health_check_path, select_candidates


@pytest.mark.parametrize(
    ("health_check", "port", "path"),
    [
        (("CMD-SHELL", "curl -f http://localhost:8080/api/health || exit 1"), 8080, "/api/health"),
        (("CMD", "curl", "-f", "http://127.0.0.1:8080/ready?full=1"), 8080, "/ready?full=1"),
        (("CMD-SHELL", 'wget -qO- "http://0.0.0.0:8080"'), 8080, "/"),
        (("CMD-SHELL", "curl http://localhost/health"), 80, "/health"),
        (("CMD-SHELL", "curl http://localhost:8080/health"), 8020, None),
        (("CMD-SHELL", "curl http://example.com:8080/health"), 8080, None),
        (("CMD-SHELL", "curl http://localhost:$PORT/health"), 8080, None),
        (("NONE",), 8080, None),
        ((), 8080, None),
    ],
)
def test_an_images_health_check_names_a_path_on_its_port(
    health_check: tuple[str, ...], port: int, path: str | None
) -> None:
    assert find_health_check_path(health_check, port) == path


def test_the_services_own_health_routes_come_after_the_well_known_ones() -> None:
    routes = [
        Route(path="/api/v2/heartbeat", method="GET"),
        Route(path="/api/v2/healthcheck", method="POST"),
        Route(path="/api/v2/live", method="GET", stream=True),
        Route(path="/api/v2/items", method="GET"),
        Route(path="/health", method="GET"),
    ]
    assert select_candidates(routes) == (*WELL_KNOWN_PATHS, "/api/v2/heartbeat")
