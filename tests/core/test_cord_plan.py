from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.cord_plan import (
    CordPlan,
    assign_public_paths,
    find_published_methods,
    plan_cords,
    separate_ports,
)
from chutes_wrappers.core.exposure import CATEGORIES, find_hidden_categories
from chutes_wrappers.core.routes import STREAM_SWITCH, RequestFormat, Route
from tests.core.paths import LEGAL_PATH, PATH

METHOD = st.sampled_from(platform_rules.UPSTREAM_METHODS)
STREAM = st.sampled_from([False, True, STREAM_SWITCH])
ROUTES = st.lists(
    st.builds(Route, path=PATH, method=METHOD, stream=STREAM), unique_by=lambda route: route.key, max_size=12
)
EXPOSE = st.sets(st.sampled_from(CATEGORIES))


def public(plan: CordPlan) -> dict[tuple[str, str, bool], tuple[str, str]]:
    """(public method, public path, stream) → (upstream method, upstream path)."""
    return {
        (cord.public_method, cord.public_path, cord.stream): (cord.route.upstream_method, cord.route.target_path)
        for cord in plan.cords
    }


def plan_published_names(*routes: Route, **options: Any) -> dict[tuple[str, str], tuple[str, str]]:
    """(public method, public path) → (upstream method, upstream path)."""
    return {
        (method, path): upstream for (method, path, _), upstream in public(plan_cords(routes, 8080, **options)).items()
    }


@pytest.mark.parametrize("path", ["/", "/items/{id}", "/robots.txt", "/static/app"])
def test_filtered_routes_are_skipped_with_the_reason_until_exposed(path: str) -> None:
    plan = plan_cords([Route(path=path)], 8080)
    assert plan.cords == ()
    assert (plan.skipped[0].path, plan.skipped[0].port) == (path, 8080)
    assert "--expose" in plan.skipped[0].reason
    (cord,) = plan_cords([Route(path=path)], 8080, expose=find_hidden_categories(path)).cords
    assert cord.route.target_path == path


@pytest.mark.parametrize("path", ["/Upper", "/a//b", "/1st", "/_x", "/a/", "/ü", "/a b", "/v1/2x"])
def test_a_path_that_the_api_refuses_gets_an_alias_and_keeps_its_target(path: str) -> None:
    (cord,) = plan_cords([Route(path=path)], 8080).cords
    assert cord.route.target_path == path
    assert platform_rules.API_PUBLIC_PATH.match(cord.public_path)


def test_a_published_route_stays_published_without_the_switch() -> None:
    routes, skipped = assign_public_paths([Route(path="/static/x"), Route(path="/{a}", method="GET")], CATEGORIES)
    assert skipped == ()
    assert [(route.path, route.exposed) for route in routes] == [("/static/x", True), ("/a", False)]
    assert assign_public_paths(routes) == (routes, ())


@pytest.mark.parametrize("target", ["/Upper", "/a/", "/v1.0/x", "/a%20b"])
def test_only_a_native_route_needs_a_target_that_the_sdk_can_call(target: str) -> None:
    assert plan_published_names(Route(path="/fine", target_path=target)) == {("POST", "/fine"): ("POST", target)}
    plan = plan_cords([Route(path="/fine", target_path=target, native=True)], 8080)
    assert plan.cords == ()
    assert target in plan.skipped[0].reason
    assert '"native"' in plan.skipped[0].reason


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_method_that_is_not_public_becomes_a_post_on_its_own_path(method: str) -> None:
    assert plan_published_names(Route(path="/item", method=method)) == {("POST", "/item"): (method, "/item")}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_public_method_stays_what_it_is(method: str) -> None:
    assert plan_published_names(Route(path="/item", method=method)) == {(method, "/item"): (method, "/item")}


@pytest.mark.parametrize(
    ("route", "names"),
    [
        (Route(path="/a-b/c_d"), ("/cw_post/a_0b/c__d", "cw_post_a_0b_c__d")),
        (Route(path="/a", method="GET"), ("/cw_get/a", "cw_get_a")),
        (Route(path="/a", method="DELETE", stream=True), ("/cw_stream_post/a", "cw_stream_post_a")),
    ],
)
def test_the_names_of_cords_are_those_of_chutes_that_are_deployed_already(route: Route, names: tuple[str, str]) -> None:
    (cord,) = plan_cords([route], 8080).cords
    assert (cord.internal_path, cord.function_name) == names


def test_beside_a_post_it_moves_to_a_path_of_its_own() -> None:
    routes = [Route(path="/item", method=method) for method in ("GET", "POST", "PUT", "DELETE")]
    assert plan_published_names(*routes) == {
        ("GET", "/item"): ("GET", "/item"),
        ("POST", "/item"): ("POST", "/item"),
        ("POST", "/item/put"): ("PUT", "/item"),
        ("POST", "/item/delete"): ("DELETE", "/item"),
    }


@pytest.mark.parametrize(
    ("methods", "first"), [("PUT PATCH DELETE", "PUT"), ("PATCH DELETE", "PATCH"), ("PUT DELETE", "PUT")]
)
def test_without_a_post_the_first_of_put_patch_and_delete_keeps_the_path(methods: str, first: str) -> None:
    for order in itertools.permutations(methods.split()):
        result = plan_published_names(*(Route(path="/item", method=method) for method in order))
        assert result[("POST", "/item")] == (first, "/item")
        assert len(result) == len(order)


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_route_whose_body_would_not_arrive_becomes_a_post(method: str) -> None:
    body = RequestFormat(encoding="json")
    every = platform_rules.UPSTREAM_METHODS
    route = Route(path="/search", method=method, request=body)
    assert plan_published_names(route, public_methods=every) == {("POST", "/search"): (method, "/search")}
    bodiless = Route(path="/search", method=method, request=RequestFormat(encoding="none"))
    assert plan_published_names(bodiless, public_methods=every) == {(method, "/search"): (method, "/search")}


def test_a_get_with_a_body_takes_no_path_of_another_method() -> None:
    routes = [Route(path="/a", method="GET", request=RequestFormat()), Route(path="/a", method="PUT")]
    for order in itertools.permutations([*routes, Route(path="/a", method="QUERY")]):
        assert plan_published_names(*order) == {
            ("POST", "/a"): ("PUT", "/a"),
            ("POST", "/a/get"): ("GET", "/a"),
            ("POST", "/a/query"): ("QUERY", "/a"),
        }


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "QUERY"])
def test_a_method_that_no_cord_can_have_is_a_post(method: str) -> None:
    assert plan_published_names(Route(path="/a", method=method)) == {("POST", "/a"): (method, "/a")}
    copy = Route(path="/a/copy", target_path="/a", target_method="COPY")
    assert plan_published_names(copy) == {("POST", "/a/copy"): ("COPY", "/a")}


def test_a_moved_method_never_gets_a_path_that_the_service_has() -> None:
    routes = [Route(path="/item", method="DELETE"), Route(path="/item"), Route(path="/item/delete")]
    assert plan_published_names(*routes)[("POST", "/item/delete")] == ("POST", "/item/delete")
    assert plan_published_names(*routes)[("POST", "/item/delete/delete")] == ("DELETE", "/item")


def test_a_method_that_is_alone_on_its_path_keeps_it_whatever_else_moves() -> None:
    routes = [Route(path="/item"), Route(path="/item", method="DELETE"), Route(path="/item/delete", method="DELETE")]
    for order in itertools.permutations(routes):
        assert plan_published_names(*order)[("POST", "/item/delete")] == ("DELETE", "/item/delete")


def test_public_methods_can_be_published_as_they_are() -> None:
    routes = [Route(path="/item", method=method) for method in platform_rules.UPSTREAM_METHODS]
    every = platform_rules.UPSTREAM_METHODS
    assert plan_published_names(*routes, public_methods=every) == {
        (method, "/item"): (method, "/item") for method in every
    }


def test_a_path_that_the_platform_answers_itself_is_kept_and_warned_about() -> None:
    plan = plan_cords([Route(path="/users/list", method="GET")], 8080)
    assert len(plan.cords) == 1
    assert "/users/list" in plan.warnings[0]
    moved = plan_cords([Route(path="/users/list", method="GET")], 8080, expose=["reserved"])
    assert [cord.public_path for cord in moved.cords] == ["/service/users/list"]
    assert moved.warnings == ()


def test_a_switch_makes_two_cords_on_one_public_path_the_streaming_one_first() -> None:
    first, second = plan_cords([Route(path="/chat", stream=STREAM_SWITCH)], 8080).cords
    assert (first.public_method, first.public_path) == (second.public_method, second.public_path) == ("POST", "/chat")
    assert (first.stream, second.stream) == (True, False)
    assert first.internal_path != second.internal_path
    assert first.function_name != second.function_name


def test_of_two_routes_with_one_path_and_method_the_second_is_left_out() -> None:
    plan = plan_cords([Route(path="/a", port=1), Route(path="/a", port=2)], 8080)
    assert [cord.port for cord in plan.cords] == [1]
    assert plan.skipped[0].reason == "another route has the same path and method"


@given(ROUTES, EXPOSE)
def test_every_cord_is_legal_and_unique_and_no_route_is_lost(routes: list[Route], expose: set[str]) -> None:
    plan = plan_cords(routes, 8080, expose=expose)
    targets = [(cord.route.upstream_method, cord.route.target_path) for cord in plan.cords]
    assert len(set(targets)) + len(plan.skipped) == len(routes)
    assert {*targets, *((entry.method, entry.path) for entry in plan.skipped)} == {(r.method, r.path) for r in routes}
    assert len({cord.internal_path for cord in plan.cords}) == len(plan.cords)
    assert len({cord.function_name for cord in plan.cords}) == len(plan.cords)
    assert len(public(plan)) == len(plan.cords)
    for cord in plan.cords:
        assert platform_rules.API_INTERNAL_PATH.match(cord.internal_path)
        assert platform_rules.SDK_PATH.match(cord.internal_path)
        assert platform_rules.API_PUBLIC_PATH.match(cord.public_path)
        assert cord.public_method in platform_rules.API_PUBLIC_METHODS
        assert cord.function_name.isidentifier()


@given(ROUTES)
def test_one_public_call_has_one_cord_or_a_pair_that_streams_first(routes: list[Route]) -> None:
    calls: dict[tuple[str, str], list[Any]] = {}
    for cord in plan_cords(routes, 8080, expose=CATEGORIES).cords:
        calls.setdefault((cord.public_method, cord.public_path), []).append(cord)
    for cords in calls.values():
        kinds = [cord.stream for cord in cords]
        assert kinds == ([True, False] if cords[0].route.stream == STREAM_SWITCH else [cords[0].route.stream])
        assert len({cord.route.key for cord in cords}) == 1


@given(ROUTES, st.randoms(use_true_random=False))
def test_names_do_not_depend_on_the_order_of_the_routes(routes: list[Route], shuffler: random.Random) -> None:
    # Of slash twins the first one named has the path: there the order does matter.
    alone = [route for route in routes if not route.path.endswith("/")]
    shuffled = list(alone)
    shuffler.shuffle(shuffled)
    plans = [plan_cords(order, 8080, expose=CATEGORIES) for order in (alone, shuffled)]
    assert public(plans[0]) == public(plans[1])
    assert {cord.internal_path for cord in plans[0].cords} == {cord.internal_path for cord in plans[1].cords}


@given(ROUTES)
def test_discovery_and_module_publish_the_same_names(routes: list[Route]) -> None:
    written, _ = assign_public_paths(routes, CATEGORIES)
    assert public(plan_cords(written, 8080)) == public(plan_cords(routes, 8080, expose=CATEGORIES))


@given(st.lists(LEGAL_PATH, min_size=2, max_size=2, unique=True))
def test_internal_paths_of_different_public_paths_differ(paths: list[str]) -> None:
    first, second = (plan_cords([Route(path=path, exposed=True)], 8080).cords for path in paths)
    assert {cord.internal_path for cord in first}.isdisjoint(cord.internal_path for cord in second)
    assert {cord.function_name for cord in first}.isdisjoint(cord.function_name for cord in second)


def test_names_that_only_differ_in_their_separators_stay_different() -> None:
    paths = ["/a/d/b", "/a-b", "/a_d_b", "/a_b", "/a/b", "/a/n0b", "/a_0b", "/a-0b"]
    plan = plan_cords([Route(path=path) for path in paths], 8080)
    assert len({cord.function_name for cord in plan.cords}) == len(paths)


def test_the_first_service_keeps_a_shared_path_and_the_other_moves() -> None:
    for routes in itertools.permutations([Route(path="/a", port=8020), Route(path="/a", port=8080)]):
        assert separate_ports(routes, [8080, 8020]) == (
            Route(path="/a", port=8080),
            Route(path="/p8020/a", port=8020, target_path="/a"),
        )


def test_a_moved_route_replaces_no_other_route() -> None:
    routes = [Route(path="/a", port=1), Route(path="/p2/a", port=1), Route(path="/a", port=2)]
    assert [route.path for route in separate_ports(routes, [1, 2])] == ["/a", "/p2/a", "/p2/p2/a"]


@given(routes=ROUTES, methods=st.sets(METHOD))
def test_the_public_methods_of_a_plan_are_read_from_its_internal_paths(routes: list[Route], methods: set[str]) -> None:
    plan = plan_cords(routes, 8080, methods)
    found = find_published_methods(["/cw", "/mine", *(cord.internal_path for cord in plan.cords)])
    assert plan_cords(routes, 8080, found).cords == plan.cords


def test_without_planned_cords_the_public_methods_are_the_default() -> None:
    assert find_published_methods([]) == find_published_methods(["/put", "/cw_other/a"]) == ("GET", "POST")
