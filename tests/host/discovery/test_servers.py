from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.host.discovery.servers import read_prefixes


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
    ],
)
def test_only_the_paths_of_servers_count(node: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert read_prefixes(node, "/docs/openapi.json") == expected
