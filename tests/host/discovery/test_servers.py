from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.host.discovery.servers import read_prefixes

# Each default contains the next variable many times.
MULTIPLYING = {str(number): {"default": f"{{{number + 1}}}" * 40} for number in range(9)}


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({}, ()),
        ({"servers": []}, ()),
        ({"servers": [{"url": "/"}]}, ("",)),
        ({"servers": [{"url": "/api/"}]}, ("/api",)),
        ({"servers": [{"url": "https://api.example.com/v1"}, {"url": "/v1"}, {"url": "/v2"}]}, ("/v1", "/v2")),
        ({"servers": [{"url": "v3"}]}, ("/docs/v3",)),
        ({"servers": [{"url": "."}]}, ("/docs",)),
        ({"servers": [{"url": "/{a}/x", "variables": {"a": {"default": "b"}}}]}, ("/b/x",)),
        ({"servers": [{"url": "/{a}"}]}, ("/{a}",)),
        ({"servers": [{"url": "http://["}, 5, {"url": 7}, {}, {"url": "/ok", "variables": []}]}, ("", "/ok")),
        ({"servers": "x"}, ()),
        ({"swagger": "2.0", "basePath": "/v2", "servers": [{"url": "/no"}]}, ("/v2",)),
        ({"swagger": "2.0", "basePath": 5}, ()),
        ({"servers": [{"url": "/{0}" * 100, "variables": MULTIPLYING}, {"url": "/ok"}]}, ("/ok",)),
    ],
)
def test_only_the_paths_of_servers_count(node: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert read_prefixes(node, "/docs/openapi.json") == expected
