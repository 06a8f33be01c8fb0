"""The route that matches a request for the service."""

from __future__ import annotations

import pytest

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.forwarding.matching import RouteTable

ROUTES = [
    ("GET", "/voices"),
    ("POST", "/voices"),
    ("GET", "/voices/"),
    ("GET", "/voices/{voice_id}"),
    ("DELETE", "/voices/{voice_id}"),
    ("GET", "/voices/default"),
    ("GET", "/Voices/{voice_id}/Sample.wav"),
    ("GET", "/files/{path:path}"),
    ("GET", "/a b/{x}-{y}"),
    ("GET", "/"),
    ("GET", "/braces/{}/{:path}"),
    ("GET", "/lists/{ids}"),
]
JOBS = [{"path": f"/jobs/{op}", "target_path": f"/jobs?op={op}", "port": 8020} for op in ("start", "stop")]
TABLE = RouteTable(
    plan_cords(
        [
            *(Route.model_validate({"path": path, "method": method, "port": 8020}) for method, path in ROUTES),
            *map(Route.model_validate, JOBS),
        ],
        8020,
        expose=("all", "parameters", "files", "root", "internal"),
    ).cords
)


@pytest.mark.parametrize(
    ("method", "path", "target", "values"),
    [
        ("GET", "/voices", "/voices", {}),
        ("GET", "/voices/", "/voices/", {}),
        ("GET", "/voices/7", "/voices/{voice_id}", {"voice_id": "7"}),
        ("GET", "/voices/a%20b%2Fc%C3%A9", "/voices/{voice_id}", {"voice_id": "a%20b%2Fc%C3%A9"}),
        ("GET", "/%76oices/default", "/voices/default", {}),
        ("GET", "/Voices/x/Sample.wav", "/Voices/{voice_id}/Sample.wav", {"voice_id": "x"}),
        ("GET", "/files/a/b%2Fc", "/files/{path:path}", {"path": "a/b%2Fc"}),
        ("GET", "/a%20b/1-2", "/a b/{x}-{y}", {"x": "1", "y": "2"}),
        ("GET", "/", "/", {}),
        ("GET", "/braces/%7B%7D/%7B:path%7D", "/braces/{}/{:path}", {}),
        ("GET", "/voices/1/2", "/voices/{voice_id}", {"voice_id": "1/2"}),
        ("GET", "/lists/a,b%2cc;x=%3B", "/lists/{ids}", {"ids": "a,b%2Cc;x=%3B"}),
    ],
)
def test_the_most_specific_route_comes_first(method: str, path: str, target: str, values: dict[str, str]) -> None:
    match = next(TABLE.iter_matches(8020, method, path))
    assert (match.cord.route.target_path, match.path_values) == (target, values)
    assert match.has_rest == (path == "/voices/1/2")


def test_routes_that_differ_in_their_query_all_match() -> None:
    found = [match.cord.route.target_path for match in TABLE.iter_matches(8020, "POST", "/jobs")]
    assert found == ["/jobs?op=start", "/jobs?op=stop"]


@pytest.mark.parametrize(
    ("port", "method", "path"),
    [
        (8080, "GET", "/voices"),
        (8020, "PUT", "/voices"),
        (8020, "GET", "/voice"),
        (8020, "HEAD", "/voices"),
        (8020, "get", "/voices"),
        (8020, "POST", "/VOICES"),
        (8020, "POST", "/voices/1"),
        (8020, "GET", "*"),
    ],
)
def test_a_request_without_a_route_does_not_match(port: int, method: str, path: str) -> None:
    assert not [*TABLE.iter_matches(port, method, path)]


def test_gradio_endpoints_do_not_match_paths() -> None:
    route = Route.model_validate({"path": "/predict", "gradio": {"api_name": "predict", "fn_index": 0}})
    assert not [*RouteTable(plan_cords([route], 7860).cords).iter_matches(7860, "POST", "/predict")]
