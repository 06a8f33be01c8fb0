"""A request for the service → the public call of its route → the request that the gateway makes of it: the same one."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.forwarding.matching import RouteTable
from chutes_wrappers.host.forwarding.multipart_reader import fields_of
from chutes_wrappers.host.forwarding.public_calls import public_parts
from chutes_wrappers.host.forwarding.transport import NotCarried
from chutes_wrappers.runtime.call_request import make_request
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


def public(route: dict[str, Any], target: str, body: bytes = b"", content_type: str = "", headers: dict[str, str] | None = None) -> tuple[dict[str, str], dict[str, Any], Route]:  # fmt: skip
    """The query, as the platform delivers it, and the body of the public call for a request, and its route."""
    entry = Route.model_validate({"path": "/a", "port": 8020, **route})
    (cord, *_) = plan_cords([entry], 8020, expose=("parameters", "files", "internal")).cords
    named = {"Content-Type": content_type} if content_type else {}
    call = TunnelCall(
        port=8020,
        method=entry.upstream_method,
        target=target,
        headers=tuple({**named, **(headers or {})}.items()),
        body=body,
    )
    match = RouteTable([cord]).match(8020, call.method, target.partition("?")[0])
    assert match is not None
    query, parts = public_parts(match, call)
    return dict(query), parts, cord.route


def there_and_back(route: dict[str, Any], target: str, body: bytes = b"", content_type: str = "", headers: dict[str, str] | None = None) -> UpstreamRequest:  # fmt: skip
    query, parts, planned = public(route, target, body, content_type, headers)
    return make_request(planned, 8020, {"json": json.loads(json.dumps(parts)), "params": query})


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
def test_the_target_comes_back(route: dict[str, Any], target: str) -> None:
    assert there_and_back(route, target, b"{}", "application/json").target == target


def test_header_parameters_come_back() -> None:
    route = {"method": "GET", "parameters": [{"name": "X-Mode", "in": "header"}]}
    assert there_and_back(route, "/a", headers={"x-mode": "fast", "x-other": "1"}).headers == {"X-Mode": "fast"}


@given(JSON_VALUES)
def test_json_of_any_kind_comes_back(value: Any) -> None:
    is_object = isinstance(value, dict)
    request = {"encoding": "json", "wrapped": not is_object}
    made = there_and_back({"request": request}, "/a", json.dumps(value).encode(), "application/json; charset=utf-8")
    assert json.loads(made.make_data()) == value
    if not is_object:
        made = there_and_back({}, "/a", json.dumps(value).encode(), "application/json")
        assert json.loads(made.make_data()) == value


@given(st.binary())
def test_binary_bodies_come_back_with_their_type(data: bytes) -> None:
    made = there_and_back({"request": {"encoding": "binary"}}, "/a", data, "audio/wav")
    assert (made.make_data(), made.headers["Content-Type"]) == (data, "audio/wav")


@pytest.mark.parametrize("text", ["", "é\r\n\0", '{"a": 1}'])
def test_text_bodies_come_back(text: str) -> None:
    made = there_and_back({"request": {"encoding": "text"}}, "/a", text.encode(), "text/plain; charset=utf-8")
    assert made.make_data() == text.encode()


def test_forms_come_back_with_repeated_fields() -> None:
    form = b"a=1&b=%C3%A9+x&a=2&data="
    made = there_and_back({"request": {"encoding": "form"}}, "/a", form, "application/x-www-form-urlencoded")
    assert sorted(made.make_data().split(b"&")) == sorted(form.split(b"&"))


@pytest.mark.parametrize(
    "request_format", [{"encoding": "multipart", "files": ["file", "data"]}, {"encoding": "multipart"}, None]
)
def test_uploads_come_back_with_their_names_and_types(request_format: dict[str, Any] | None) -> None:
    files = [
        ("file", ("ä ö.bin", EVERY_BYTE, "x/y")),
        ("body", (None, "1")),
        ("data", ("empty.txt", b"", "text/plain")),
        ("file", ("two", b"2", "x/z")),
        ("stream", (None, "no")),
    ]
    sent = requests.Request("POST", "http://a/", files=files).prepare()
    assert isinstance(sent.body, bytes)
    made = there_and_back({"request": request_format}, "/a", sent.body, sent.headers["Content-Type"])
    writer = made.make_data()
    fields = fields_of(writer.content_type, asyncio.run(_written(writer)))
    expected = [
        (name, data if isinstance(data, bytes) else str(data).encode(), filename)
        for name, (filename, data, *_) in files
    ]
    assert sorted((field.name, field.data, field.filename or "") for field in fields) == sorted(
        (name, data, filename or "") for name, data, filename in expected
    )
    assert {field.content_type for field in fields if field.filename} == {"x/y", "x/z", "text/plain"}


async def _written(writer: Any) -> bytes:
    return bytes(await writer.as_bytes())


@pytest.mark.parametrize(
    ("route", "body", "content_type", "headers", "status"),
    [
        ({}, b"{", "application/json", {}, 400),
        ({}, b"\xff", "audio/wav", {}, 415),
        ({}, b"x", "multipart/form-data", {}, 400),
        ({}, b"{}", "application/json", {"Content-Encoding": "gzip"}, 415),
        ({"request": {"encoding": "text"}}, b"\xff", "text/plain", {}, 415),
        ({"request": {"encoding": "text"}}, b"x", "text/plain; charset=nonsense", {}, 415),
    ],
)
def test_what_the_public_api_cannot_say_is_named(
    route: dict[str, Any], body: bytes, content_type: str, headers: dict[str, str], status: int
) -> None:
    with pytest.raises(NotCarried) as caught:
        public(route, "/a", body, content_type, headers)
    assert caught.value.status == status
