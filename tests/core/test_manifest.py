from __future__ import annotations

import contextlib
import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.manifest import (
    Manifest,
    build_manifest_path,
    load_manifest,
    merge_static_routes,
    parse_manifest,
    parse_routes,
    write_manifest,
)
from chutes_wrappers.core.routes import Route, SkippedRoute, find_unknown_keys

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
ROUTE = st.builds(
    Route,
    path=st.text(max_size=8).map(lambda text: "/" + text),
    method=st.sampled_from(["GET", "POST", "PUT"]),
    port=st.none() | st.integers(1, 65535).filter(lambda port: port not in (8000, 8001, 8002)),
    target_path=st.just("") | st.text(max_size=8).map(lambda text: "/" + text),
    stream=st.booleans(),
    input_schema=st.none() | st.dictionaries(st.text(max_size=4), JSON, max_size=2),
)


def problem(routes: object) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        parse_manifest(json.dumps({"routes": routes}), where="m.routes.json")
    return caught.value


def test_a_plain_list_and_a_bare_object_load_too() -> None:
    route = {"path": "/a", "method": "GET", "port": 80}
    expected = (Route(path="/a", method="GET", port=80),)
    assert parse_manifest(json.dumps([route]), where="x").routes == expected
    assert parse_manifest(json.dumps({"routes": [route]}), where="x").routes == expected


@pytest.mark.parametrize(
    ("routes", "parts"),
    [
        ([{"path": "/a"}, {"method": "GET"}], ["route 1", "`path` is missing"]),
        ([{"path": "/a", "method": "FETCH"}], ["route 0", "FETCH", "GET, POST"]),
        ([{"path": "/a", "port": 0}], ["route 0", "`port` = 0"]),
        ([{"path": "/a", "port": True}], ["route 0", "`port` = True"]),
        ([{"path": "/a", "port": 65536}], ["route 0", "65536"]),
        ([{"path": "a"}], ["route 0", "'a'", "must start with '/'"]),
        ([{"path": "/a"}, {"path": "/a", "port": 1}], ["route 1", "POST /a is a duplicate of route 0"]),
        (["/a"], ["route 0", "object, not str"]),
        ([{"path": "/a", "request": {"files": [], "kind": 1}}], ["route 0", "`request.kind`"]),
        ([{"path": "/a", "target_path": "/b/{}"}], ["route 0", "`target_path`: {} in '/b/{}' has no name", "name it"]),
        ([{"path": "/b/{a}/{*}"}], ["route 0", "`path`: {*} in '/b/{a}/{*}'", "%7B"]),
        ([{"path": "/a", "stream": "yes"}], ["`stream` = 'yes': must be true, false or \"switch\""]),
        ([{"path": "/a", "request": "multipart"}], ["`request` = 'multipart': must be an object"]),
        ([{"path": "/a", "parameters": ["b"]}], ["`parameters[0]` = 'b': must be an object"]),
        ([{"path": "/a", "parameters": [{"name": "b", "in": "body"}]}], ["`parameters[0].in` = 'body'", "'header'"]),
        ([{"path": "/a", "passthrough_port": "b"}], ["`passthrough_port` = 'b'"]),
        ([{"public_api_path": "a"}], ["`public_api_path` = 'a'"]),
        ([{"public_api_path": "/a", "path": "b"}], ["`path` = 'b'"]),
        *(
            (
                [{"path": "/a", "parameters": [{"name": name, "in": "header"}]}],
                ["route 0", "`parameters[0].name`", *parts],
            )
            for name, *parts in [
                ("x\r\ny: z", r"'x\r\ny: z' is not a valid header name"),
                ("Transfer-Encoding", "remove it"),
                ("content-length", "remove it"),
                ("Host", "remove it"),
            ]
        ),
        ([{"path": "/a", "request": {"content_type": "a\r\nb"}}], ["`request.content_type`", r"'a\r\nb'"]),
        ([{"path": "/a", "request": {"files": ["f"]}}], ["`request.files`", '"encoding": "multipart"']),
        ([{"path": "/a", "port": 8000}], ["`port`", "port 8000 belongs to the chute itself"]),
        ([{"path": "/a", "passthrough_port": 8001}], ["`passthrough_port`", "port 8001", "logging"]),
        ([{"path": "/a", "port": 8002}], ["`port`", "port 8002", "attestation"]),
        ([{"path": "/a", "native": True, "request": {}}], ["`request`", '"native"']),
        ([{"path": "/a", "native": True, "parameters": [{"name": "b"}]}], ["`parameters`", '"native"']),
    ],
)
def test_a_bad_route_is_one_error_with_file_index_and_fix(routes: Any, parts: list[str]) -> None:
    error = problem(routes)
    assert error.exit_code == 2
    assert error.next_step
    for part in ["m.routes.json", *parts]:
        assert part in str(error)


@pytest.mark.parametrize(
    "text",
    [
        '{"version": true, "routes": []}',
        '{"version": 1.0, "routes": []}',
        "",
        "{",
        "[1",
        "null",
        '"x"',
        '{"routes": {}}',
        '{"version": 99, "routes": []}',
        "[" * 9999,
        '{"routes": [], "source": ' + "9" * 5000 + "}",
    ],
)
def test_an_invalid_manifest_is_rejected_with_its_name(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"m\.routes\.json"):
        parse_manifest(text, where="m.routes.json")


@given(JSON)
def test_arbitrary_json_never_raises_anything_else(value: object) -> None:
    for text in (json.dumps(value), json.dumps({"routes": value}), json.dumps({"routes": [value], "image": value})):
        with contextlib.suppress(ConfigurationError):
            parse_manifest(text, where="x")


@given(st.lists(ROUTE, unique_by=lambda route: route.key, max_size=5))
def test_writing_and_loading_gives_the_same_manifest(routes: list[Route]) -> None:
    manifest = Manifest(
        routes=tuple(routes),
        image=LaunchSpec(reference="a:b", cmd=("x",), readiness={8020: "/health"}, environment={"A": "ü"}),
        skipped=(SkippedRoute(path="/x", method="GET", reason="r"),),
        source={"8020": "http://127.0.0.1/openapi.json"},
    )
    again = parse_manifest(manifest.to_json(), where="x")
    assert again.image == manifest.image
    assert again.source == manifest.source
    assert again.skipped == manifest.skipped
    assert {r.key: (r.target_path, r.port, r.stream, r.input_schema) for r in again.routes} == {
        r.key: (r.target_path, r.port, r.stream, r.input_schema) for r in routes
    }


@given(st.lists(ROUTE, unique_by=lambda route: route.key, max_size=5), st.randoms())
def test_the_file_does_not_depend_on_the_order_of_the_routes(routes: list[Route], random: Any) -> None:
    shuffled = list(routes)
    random.shuffle(shuffled)
    assert Manifest(routes=tuple(routes)).to_json() == Manifest(routes=tuple(shuffled)).to_json()


def test_the_file_does_not_depend_on_the_order_of_what_was_skipped() -> None:
    skipped = [
        SkippedRoute(path=path, method=method, port=port, reason=reason)
        for path in ("/a", "/b")
        for method in ("GET", "POST")
        for port in (None, 1, 2)
        for reason in ("r", "s")
    ]
    assert Manifest(skipped=tuple(skipped)).to_json() == Manifest(skipped=tuple(reversed(skipped))).to_json()


def test_routes_are_written_by_port_path_and_method() -> None:
    routes = [
        Route(path=path, method=method, port=port)
        for path in ["/b", "/a"]
        for method in ("POST", "GET")
        for port in (2, 1)
    ]
    written = json.loads(Manifest(routes=tuple(routes)).to_json())["routes"]
    calls = [(route["port"], route["path"], route["method"]) for route in written]
    assert calls == sorted(calls)


def test_unknown_facts_are_not_written() -> None:
    assert Manifest().to_json() == '{\n  "version": 1,\n  "routes": []\n}\n'


def test_a_written_manifest_is_loaded_again(tmp_path: Path) -> None:
    manifest = Manifest(routes=(Route(path="/a", port=80),), source={"80": "x"})
    write_manifest(manifest, tmp_path / "m.routes.json")
    assert load_manifest(tmp_path / "m.routes.json") == manifest


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.routes.json"
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="is not UTF-8 text") as caught:
        load_manifest(path)
    assert caught.value.where == str(path)


def test_a_pipe_and_a_file_of_a_terabyte_are_named_and_not_read(tmp_path: Path) -> None:
    pipe, large = tmp_path / "pipe.routes.json", tmp_path / "large.routes.json"
    os.mkfifo(pipe)
    with large.open("wb") as opened:
        opened.truncate(2**40)
    for path, reason in ((pipe, "not a regular file"), (large, "larger than 64 MiB")):
        with pytest.raises(ConfigurationError, match=reason) as caught:
            load_manifest(path)
        assert caught.value.where == str(path)


def test_of_several_problems_the_first_is_named() -> None:
    assert "`method`" in str(problem([{"path": "/a", "method": "FETCH", "port": 0}]))


def test_the_seeds_keys_are_always_written_out() -> None:
    (route,) = json.loads(Manifest(routes=(Route(path="/a", port=8080),)).to_json())["routes"]
    assert route == {"path": "/a", "method": "POST", "port": 8080, "target_path": "/a", "stream": False}


def test_keys_of_other_toolkits_are_translated_or_named() -> None:
    entry = {
        "cord": "x",
        "function_name": "f",
        "path": "/internal",
        "public_api_path": "/public",
        "passthrough_path": "/up",
        "passthrough_port": 9000,
    }
    assert parse_routes([entry], where="x") == (Route(path="/public", target_path="/up", port=9000),)
    assert find_unknown_keys([entry, {"cord": 1}]) == ("cord", "function_name")


def test_an_unknown_key_of_a_file_is_named_with_a_suggestion_and_not_written() -> None:
    routes = [{"path": "/a", "sream": True, "cord": "x", "ignored_keys": 1}, {"path": "/b", "sream": True}]
    manifest = parse_manifest(json.dumps({"routes": routes, "ignored_keys": ["forged"]}), where="x")
    assert manifest.ignored_keys == ("cord", "ignored_keys", "sream (did you mean stream?)")
    assert [route.path for route in manifest.routes] == ["/a", "/b"]
    assert "sream" not in manifest.to_json()
    assert "ignored_keys" not in manifest.to_json()


def test_keys_that_are_not_text_are_named_too() -> None:
    assert find_unknown_keys([{1: 2, "path": "/a"}]) == ("1",)


def test_a_public_path_of_another_toolkit_leaves_the_path_to_the_service() -> None:
    assert parse_routes([{"path": "/up", "public_api_path": "/public"}], where="x") == (
        Route(path="/public", target_path="/up"),
    )


def test_static_duplicates_are_skipped_and_a_different_one_is_warned_about() -> None:
    manifest = Manifest(routes=(Route(path="/a", port=8020), Route(path="/b", port=8020)))
    static = [Route(path="/a", port=8080), Route(path="/b"), Route(path="/c", method="GET", port=8080)]
    merged, warnings = merge_static_routes(manifest, static)
    assert merged.routes == (*manifest.routes, static[2])
    (warning,) = warnings
    assert "POST /a" in warning


def test_a_static_duplicate_can_say_that_the_response_is_a_stream() -> None:
    manifest = Manifest(
        routes=(Route(path="/events", method="GET", port=8020), Route(path="/other", method="GET", port=8020))
    )
    static = [
        Route(path="/events", method="GET", stream=True),
        Route(path="/other", method="GET", target_path="/elsewhere", stream=True),
    ]
    merged, warnings = merge_static_routes(manifest, static)
    assert [(route.port, route.stream) for route in merged.routes] == [(8020, True), (8020, False)]
    assert len(warnings) == 1


def test_a_manifest_is_named_after_its_module() -> None:
    assert build_manifest_path("examples/deploy_x.py") == Path("examples/deploy_x.routes.json")


def test_a_missing_file_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--discover"):
        load_manifest(tmp_path / "deploy_x.routes.json")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deploy_x.routes.json"
    write_manifest(Manifest(routes=(Route(path="/old"),)), path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WrapperError, match="No space left") as caught:
        write_manifest(Manifest(), path)
    assert caught.value.exit_code == 1
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_a_manifest(tmp_path: Path) -> None:
    """The user of the instance, for one, who is not the one that wrote it."""
    path = tmp_path / "deploy_x.routes.json"
    write_manifest(Manifest(), path)
    assert path.stat().st_mode & 0o777 == 0o644
