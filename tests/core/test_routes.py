from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.routes import Route, filter_reason, plan_cords, separate_ports

SEGMENT = st.from_regex(r"[a-z][a-z0-9_-]{0,6}", fullmatch=True)
LEGAL_PATH = st.lists(SEGMENT, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
METHOD = st.sampled_from(platform_rules.UPSTREAM_METHODS)
ROUTES = st.lists(st.builds(Route, path=LEGAL_PATH, method=METHOD), unique_by=lambda route: route.key, max_size=12)


def published(*routes: Route, **options: object) -> dict[tuple[str, str], tuple[str, str]]:
    """(public method, public path) → (upstream method, upstream path)."""
    plan = plan_cords(routes, 8080, **options)  # type: ignore[arg-type]  # options are the keyword arguments of plan_cords
    return {
        (cord.public_method, cord.public_path): (cord.route.upstream_method, cord.route.target_path)
        for cord in plan.cords
    }


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("/items/{item_id}", "path parameters"),
        ("/robots.txt", "file extension"),
        ("/favicon.ico", "file extension"),
        ("/a/model.bin", "file extension"),
        ("/", "root path"),
        ("/static/app", "/static"),
        ("/assets", "/assets"),
        ("/svelte/x", "/svelte"),
        ("/login", "/login"),
        ("/logout", "/logout"),
        ("/gradio_api/info", "/gradio_api"),
        ("/theme", "/theme"),
        ("/__internal", "/__"),
    ],
)
def test_the_documented_filters_leave_a_route_out_with_its_reason(path: str, part: str) -> None:
    plan = plan_cords([Route(path=path)], 8080)
    assert plan.cords == ()
    assert part in plan.skipped[0].reason


@pytest.mark.parametrize("path", ["/predict", "/statics", "/loginname", "/v1/audio/transcriptions", "/themes/list"])
def test_other_paths_are_published(path: str) -> None:
    assert filter_reason(path) is None
    assert published(Route(path=path)) == {("POST", path): ("POST", path)}


@pytest.mark.parametrize("path", ["/Upper", "/a//b", "/1st", "/_x", "/a/", "/ü", "/a b", "/v1/2x"])
def test_a_public_path_that_the_api_refuses_is_left_out_and_named(path: str) -> None:
    plan = plan_cords([Route(path=path)], 8080)
    assert plan.cords == ()
    assert path in plan.skipped[0].reason


@pytest.mark.parametrize("target", ["/Upper", "/a/", "/v1.0/x", "/a%20b"])
def test_an_target_path_that_a_native_passthrough_cannot_call_is_left_out(target: str) -> None:
    plan = plan_cords([Route(path="/fine", target_path=target)], 8080)
    assert plan.cords == ()
    assert target in plan.skipped[0].reason


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_method_that_is_not_public_becomes_a_post_on_its_own_path(method: str) -> None:
    assert published(Route(path="/item", method=method)) == {("POST", "/item"): (method, "/item")}


def test_beside_a_post_it_moves_to_a_path_of_its_own() -> None:
    routes = [Route(path="/item", method=method) for method in ("GET", "POST", "PUT", "DELETE")]
    assert published(*routes) == {
        ("GET", "/item"): ("GET", "/item"),
        ("POST", "/item"): ("POST", "/item"),
        ("POST", "/item/put"): ("PUT", "/item"),
        ("POST", "/item/delete"): ("DELETE", "/item"),
    }


def test_a_moved_method_never_takes_a_path_that_the_service_has() -> None:
    routes = [Route(path="/item", method="DELETE"), Route(path="/item"), Route(path="/item/delete")]
    assert published(*routes)[("POST", "/item/delete")] == ("POST", "/item/delete")
    assert published(*routes)[("POST", "/item/delete/delete")] == ("DELETE", "/item")


def test_public_methods_can_be_published_as_they_are() -> None:
    routes = [Route(path="/item", method=method) for method in platform_rules.UPSTREAM_METHODS]
    every = platform_rules.UPSTREAM_METHODS
    assert published(*routes, public_methods=every) == {(method, "/item"): (method, "/item") for method in every}


def test_a_path_that_the_platform_answers_itself_is_kept_and_warned_about() -> None:
    plan = plan_cords([Route(path="/users/list", method="GET")], 8080)
    assert len(plan.cords) == 1
    assert "/users/list" in plan.warnings[0]


@given(ROUTES)
def test_every_cord_is_legal_and_unique_and_no_route_is_lost(routes: list[Route]) -> None:
    plan = plan_cords(routes, 8080)
    assert len(plan.cords) + len(plan.skipped) == len(routes)
    assert len({cord.internal_path for cord in plan.cords}) == len(plan.cords)
    assert len({cord.function_name for cord in plan.cords}) == len(plan.cords)
    assert len({(cord.public_method, cord.public_path) for cord in plan.cords}) == len(plan.cords)
    for cord in plan.cords:
        assert platform_rules.API_INTERNAL_PATH.match(cord.internal_path)
        assert platform_rules.SDK_PATH.match(cord.internal_path)
        assert platform_rules.API_PUBLIC_PATH.match(cord.public_path)
        assert cord.public_method in platform_rules.API_PUBLIC_METHODS


@given(ROUTES, st.randoms())
def test_names_do_not_depend_on_the_order_of_the_routes(routes: list[Route], random: object) -> None:
    shuffled = list(routes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis hands out random.Random as object
    assert published(*routes) == published(*shuffled)


@given(st.lists(LEGAL_PATH, min_size=2, max_size=2, unique=True))
def test_internal_paths_of_different_public_paths_differ(paths: list[str]) -> None:
    first, second = (plan_cords([Route(path=path)], 8080).cords for path in paths)
    assert {cord.internal_path for cord in first}.isdisjoint(cord.internal_path for cord in second)


def test_the_first_service_keeps_a_shared_path_and_the_other_moves() -> None:
    for routes in itertools.permutations([Route(path="/a", port=8020), Route(path="/a", port=8080)]):
        assert separate_ports(routes, [8080, 8020]) == (
            Route(path="/a", port=8080),
            Route(path="/p8020/a", port=8020, target_path="/a"),
        )
