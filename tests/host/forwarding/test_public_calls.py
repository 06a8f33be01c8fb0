"""A request for the service survives the round trip through its route's public call and the gateway."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.forwarding.matching import RouteTable
from chutes_wrappers.host.forwarding.multipart_reader import parse_multipart
from chutes_wrappers.host.forwarding.public_calls import build_query_and_body
from chutes_wrappers.host.forwarding.transport import ForwardingError
from chutes_wrappers.runtime.call_request import build_request
from chutes_wrappers.runtime.tunnel_frames import TunnelCall
from chutes_wrappers.runtime.upstream import UpstreamRequest

EVERY_BYTE = bytes(range(256))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=8,
)


TAG = {"name": "tag", "type": "array"}
LISTS: list[tuple[dict[str, Any], str]] = [
    (TAG, "tag=1&tag=2%2C3&tag=%5B4%5D"),
    (TAG, "tag=2%2C3"),
    ({**TAG, "explode": False}, "tag=2%2C3"),
    ({**TAG, "style": "pipeDelimited"}, "tag=2%2C3%7C4"),
]


def make_public_call(route: dict[str, Any], target: str, body: bytes = b"", content_type: str = "", headers: dict[str, str] | None = None) -> tuple[dict[str, str], dict[str, Any], Route]:  # fmt: skip
    """The query, as the platform delivers it, and the body of the public call for a request, and its route."""
    entry = Route.model_validate({"path": "/a", "port": 8020, **route})
    (cord, *_) = plan_cords([entry], 8020, expose=("parameters", "files", "internal")).cords
    values = {"Content-Type": content_type} if content_type else {}
    call = TunnelCall(
        port=8020,
        method=entry.upstream_method,
        target=target,
        headers=tuple({**values, **(headers or {})}.items()),
        body=body,
    )
    match = RouteTable([cord]).match(8020, call.method, target.partition("?")[0])
    assert match is not None
    query, parts = build_query_and_body(match, call)
    return dict(query), parts, cord.route


def round_trip(route: dict[str, Any], target: str, body: bytes = b"", content_type: str = "", headers: dict[str, str] | None = None) -> UpstreamRequest:  # fmt: skip
    query, parts, planned = make_public_call(route, target, body, content_type, headers)
    return build_request(planned, 8020, {"json": json.loads(json.dumps(parts)), "params": query})


@pytest.mark.parametrize(
    ("route", "target"),
    [
        ({"method": "GET"}, "/a?b=%C3%A9&c="),
        ({"method": "GET", "path": "/v/{id}/X.wav"}, "/v/a%20b%2Fc/X.wav"),
        ({"method": "DELETE", "path": "/v/{id}"}, "/v/7?force=1"),
        ({"path": "/v/{id}"}, "/v/7?id2=1"),
        ({"parameters": [{"name": "tag", "in": "query"}]}, "/a?tag=1&tag=2"),
        ({"path": "/f/{path:path}", "method": "GET"}, "/f/a/b.txt"),
        *(
            ({"method": method, "parameters": [tag]}, f"/a?x=1&{query}")
            for method in ("GET", "POST")
            for tag, query in LISTS
        ),
    ],
)
def test_the_target_survives_the_round_trip(route: dict[str, Any], target: str) -> None:
    assert round_trip(route, target, b"{}", "application/json").target == target


def test_header_parameters_survive_the_round_trip() -> None:
    route = {"method": "GET", "parameters": [{"name": "X-Mode", "in": "header"}]}
    assert round_trip(route, "/a", headers={"x-mode": "fast", "x-other": "1"}).headers == {"X-Mode": "fast"}


@given(JSON_VALUES)
def test_any_json_survives_the_round_trip(value: Any) -> None:
    is_object = isinstance(value, dict)
    request = {"encoding": "json", "wrapped": not is_object}
    restored = round_trip({"request": request}, "/a", json.dumps(value).encode(), "application/json; charset=utf-8")
    assert json.loads(restored.make_data()) == value
    if not is_object:
        restored = round_trip({}, "/a", json.dumps(value).encode(), "application/json")
        assert json.loads(restored.make_data()) == value


@given(st.binary())
def test_binary_bodies_survive_the_round_trip(data: bytes) -> None:
    restored = round_trip({"request": {"encoding": "binary"}}, "/a", data, "audio/wav")
    assert (restored.make_data(), restored.headers["Content-Type"]) == (data, "audio/wav")


@pytest.mark.parametrize("text", ["", "é\r\n\0", '{"a": 1}'])
def test_text_bodies_survive_the_round_trip(text: str) -> None:
    restored = round_trip({"request": {"encoding": "text"}}, "/a", text.encode(), "text/plain; charset=utf-8")
    assert restored.make_data() == text.encode()


def test_forms_survive_the_round_trip_with_repeated_fields() -> None:
    form = b"a=1&b=%C3%A9+x&a=2&data="
    restored = round_trip({"request": {"encoding": "form"}}, "/a", form, "application/x-www-form-urlencoded")
    assert sorted(restored.make_data().split(b"&")) == sorted(form.split(b"&"))


@pytest.mark.parametrize(
    "request_format", [{"encoding": "multipart", "files": ["file", "data"]}, {"encoding": "multipart"}, None]
)
def test_uploads_survive_the_round_trip_with_names_and_types(request_format: dict[str, Any] | None) -> None:
    files = [
        ("file", ("ä ö.bin", EVERY_BYTE, "x/y")),
        ("body", (None, "1")),
        ("data", ("empty.txt", b"", "text/plain")),
        ("file", ("two", b"2", "x/z")),
        ("stream", (None, "no")),
    ]
    original = requests.Request("POST", "http://a/", files=files).prepare()
    assert isinstance(original.body, bytes)
    restored = round_trip({"request": request_format}, "/a", original.body, original.headers["Content-Type"])
    writer = restored.make_data()
    fields = parse_multipart(writer.content_type, asyncio.run(_write_multipart(writer)))
    expected = [
        (name, data if isinstance(data, bytes) else str(data).encode(), filename)
        for name, (filename, data, *_) in files
    ]
    assert sorted((field.name, field.data, field.filename or "") for field in fields) == sorted(
        (name, data, filename or "") for name, data, filename in expected
    )
    assert {field.content_type for field in fields if field.filename} == {"x/y", "x/z", "text/plain"}


async def _write_multipart(writer: Any) -> bytes:
    return bytes(await writer.as_bytes())


@pytest.mark.parametrize(
    ("route", "body", "content_type", "headers", "status"),
    [
        ({}, b"{", "application/json", {}, 400),
        ({}, b"\xff", "audio/wav", {}, 415),
        ({}, b"x", "multipart/form-data", {}, 400),
        ({}, b"{}", "application/json", {"Content-Encoding": "gzip"}, 415),
        ({"request": {"encoding": "text"}}, b"\xff", "text/plain", {}, 415),
        *(
            ({"request": {"encoding": "text"}}, b"x", f"text/plain; {charset}", {}, 415)
            for charset in ("charset=nonsense", "charset=undefined", "charset*=nonsense''a")
        ),
        ({}, b"--B--", "multipart/form-data; boundary*=nonsense''B", {}, 400),
    ],
)
def test_an_unsupported_request_is_named(
    route: dict[str, Any], body: bytes, content_type: str, headers: dict[str, str], status: int
) -> None:
    with pytest.raises(ForwardingError) as caught:
        make_public_call(route, "/a", body, content_type, headers)
    assert caught.value.status == status


def test_a_delete_that_is_public_as_such_has_a_query_but_no_body() -> None:
    route = Route.model_validate({"path": "/a", "port": 8020, "method": "DELETE"})
    (cord,) = plan_cords([route], 8020, public_methods=("GET", "POST", "DELETE")).cords
    call = TunnelCall(port=8020, method="DELETE", target="/a?b=1")
    match = RouteTable([cord]).match(8020, "DELETE", "/a")
    assert match is not None
    assert build_query_and_body(match, call) == ((("b", "1"),), {})
    with pytest.raises(ForwardingError, match="sends no body with a DELETE call"):
        build_query_and_body(match, replace(call, body=b"{}"))
