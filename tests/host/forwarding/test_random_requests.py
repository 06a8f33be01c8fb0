"""Random services and random legal requests: what arrives is what the client sent, or the client gets the refusal.

Forwarder and gateway are the real ones. Between them is what the platform does to a call (PLATFORM.md, section 3): a query
keeps the last of repeated names, the body is one JSON object, and of a response stay the bytes and the media type. The service
records each request as it came.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.cord_plan import PlannedCord, plan_cords
from chutes_wrappers.core.exposure import CATEGORIES
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.forwarding.chute_client import PublicCall
from chutes_wrappers.host.forwarding.matching import RouteTable
from chutes_wrappers.host.forwarding.route_transport import RouteTransport
from chutes_wrappers.host.forwarding.transport import ForwardingError
from chutes_wrappers.runtime.background import BackgroundLoop
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.gateway import Gateway
from chutes_wrappers.runtime.tunnel_frames import Head, Header, TunnelCall

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
NAMES = ["id", "tag", "body", "q", "meta", "X-Mode", "data"]
# What a connection needs.
FRAMING = {"host", "content-length", "transfer-encoding", "connection"}


@dataclass
class Service:
    """Records requests; its response is set before each."""

    port: int = 0
    seen: list[TunnelCall] = field(default_factory=list)
    status: int = 200
    content_type: str = JSON
    body: bytes = b"{}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one request of a connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in head[1:] if line))
        lower = {name.lower(): value for name, value in headers}
        body = await reader.readexactly(int(lower.get("content-length", 0)))
        if "chunked" in lower.get("transfer-encoding", ""):
            while size := int((await reader.readline()).strip(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        self.seen.append(TunnelCall(port=self.port, method=method, target=target, headers=headers, body=body))
        length = b"" if self.status == 204 else b"Content-Length: %d\r\n" % len(self.body)
        kind = f"Content-Type: {self.content_type}\r\n".encode() if self.content_type else b""
        writer.write(b"HTTP/1.1 %d X\r\n%s%sConnection: close\r\n\r\n" % (self.status, kind, length))
        writer.write(b"" if method == "HEAD" or self.status == 204 else self.body)
        writer.close()


@dataclass
class PlatformResponse:
    """What the forwarder reads of an aiohttp response."""

    status: int
    headers: dict[str, str]
    data: bytes

    @property
    def content_length(self) -> int:
        """The length of the body."""
        return len(self.data)

    @property
    def content(self) -> PlatformResponse:
        """The stream of the body."""
        return self

    async def read(self) -> bytes:
        """The body."""
        return self.data

    async def iter_any(self) -> AsyncIterator[bytes]:
        """The body in pieces."""
        yield self.data


@dataclass
class Platform:
    """Calls the gateway as the platform calls an instance."""

    cords: tuple[PlannedCord, ...]
    gateway: Gateway

    @contextlib.asynccontextmanager
    async def call(self, call: PublicCall) -> AsyncIterator[PlatformResponse]:
        cord = next(each for each in self.cords if (each.public_method, each.public_path) == (call.method, call.path))
        body = b"".join([piece async for piece in call.pieces()]) if call.pieces else b"{}"
        value, query = orjson.loads(body), dict(call.query)
        assert isinstance(value, dict)
        assert "stream" not in query
        assert not value.get("stream")
        try:
            done = await asyncio.to_thread(
                self.gateway.handle_call, cord.route, cord.port, {"json": value, "params": query}
            )
        except CallFailed as failure:
            detail = json.dumps({"detail": failure.detail}).encode()
            yield PlatformResponse(failure.status, {"Content-Type": JSON}, detail)
            return
        yield PlatformResponse(200, {"Content-Type": done.content_type}, done.body)

    async def read_error(self, response: PlatformResponse, limit_bytes: int) -> bytes:
        return response.data[:limit_bytes]


@pytest.fixture(scope="module")
def exchange() -> Iterator[Callable[[list[dict[str, Any]], TunnelCall, Service], tuple[Head, bytes]]]:
    """Send a request through the forwarder to a service with these routes. Raises ForwardingError."""
    background = BackgroundLoop("test")
    gateway = Gateway(background)

    async def send(routes: list[dict[str, Any]], call: TunnelCall, service: Service) -> tuple[Head, bytes]:
        server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
        service.port = server.sockets[0].getsockname()[1]
        entries = [Route.model_validate({**route, "port": service.port}) for route in routes]
        cords = plan_cords(entries, service.port, expose=CATEGORIES).cords
        chute: Any = Platform(cords, gateway)
        transport = RouteTransport(chute, RouteTable(cords))
        async with (
            server,
            transport.send(TunnelCall(**{**call.__dict__, "port": service.port})) as response,
        ):
            return response.head, b"".join([piece async for piece in response.pieces])

    yield lambda routes, call, service: asyncio.run(send(routes, call, service))
    background.submit(gateway.close()).result(60)


TEXTS = st.one_of(
    st.sampled_from(["1", "", "a b", "a,b", "a/b", "é", "%", "+", "[1]", '{"a": 1}', "null", "a;b", "x=y", "..", "&", ".a", "true"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
)  # fmt: skip
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | TEXTS, inner, max_size=3),
    max_leaves=5,
)
PARAMETERS = st.fixed_dictionaries(
    {"name": st.sampled_from(NAMES), "in": st.sampled_from(["query", "query", "header", "cookie"])},
    optional={
        "type": st.sampled_from(["array", "object"]),
        "explode": st.booleans(),
        "content_type": st.just(JSON),
        "credential": st.booleans(),
    },
)
PARTS = st.dictionaries(
    st.sampled_from(NAMES),
    st.sampled_from([{"content_type": JSON}, {"style": "form", "explode": False}, {"content_type": "text/xml"}]),
    max_size=2,
)
REQUESTS = st.one_of(
    st.none(),
    st.sampled_from(["json", "json", "none", "text", "binary", "lines"]).map(lambda kind: {"encoding": kind}),
    st.sampled_from([True, False, None]).map(lambda wrapped: {"encoding": "json", "wrapped": wrapped}),
    st.sampled_from(["application/json;v=2", "application/vnd.x+json"]).map(
        lambda kind: {"encoding": "json", "content_type": kind}
    ),
    st.tuples(st.sampled_from(["form", "multipart"]), PARTS).map(lambda each: {"encoding": each[0], "parts": each[1]}),
)
ROUTE_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "path": st.sampled_from(["/a", "/a/{id}", "/a/{id}/b", "/a/b", "/a/{rest:path}"]),
    "method": st.sampled_from(["GET", "POST", "POST", "PUT", "DELETE", "HEAD", "PATCH", "QUERY"]),
    "parameters": st.lists(PARAMETERS, max_size=3, unique_by=lambda each: (each["in"], each["name"])),
    "request": REQUESTS,
}
ROUTES = st.fixed_dictionaries(
    ROUTE_FIELDS,
    optional={"fixed": st.sampled_from(["op=1", "op=2"]), "target_method": st.just("COPY")},
).map(
    lambda route: {
        **{key: value for key, value in route.items() if key != "fixed"},
        "target_path": route["path"] + (f"?{route['fixed']}" if "fixed" in route else ""),
    }
)


@st.composite
def queries(draw: st.DrawFn) -> str:
    """A legal query: any characters that RFC 3986 allows in it."""
    raw = st.one_of(
        TEXTS.map(lambda text: quote(text, safe=draw(st.sampled_from(["", "/,:;+%"])))),
        st.sampled_from(["%FF", "a+b", "a%20b", "%zz", "1,2%2C3", "", "(x)"]),
    )
    names = st.sampled_from([*NAMES, "op", "stream", "x%5By%5D", "id[a]", ""]) | raw
    pairs = draw(st.lists(st.tuples(names, st.sampled_from(["=", "=", "=", ""]), raw), max_size=4))
    return "&".join(f"{name}{sign}{value if sign else ''}" for name, sign, value in pairs)


def encode_parts(parts: list[tuple[str, str | None, str, bytes]]) -> bytes:
    """A multipart body; each part has a name, a file name or None, a media type or nothing, and its bytes."""
    body = b""
    for name, filename, kind, data in parts:
        disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename is not None else "")
        head = f"--B\r\nContent-Disposition: {disposition}\r\n" + (f"Content-Type: {kind}\r\n" if kind else "")
        body += head.encode() + b"\r\n" + data + b"\r\n"
    return body + b"--B--\r\n"


FIELDS = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from([None, None, "x.txt", "ä ö", ""]),
    st.sampled_from(["", "", JSON, "text/plain", "text/xml", "application/octet-stream"]),
    st.sampled_from([b"1", b'{"a": 1.0}', b"[1]", b"", b"\xff\x00", "é".encode()]),
)
LINES = st.lists(JSON_VALUES, max_size=2).map(lambda values: b"\n".join(json.dumps(value).encode() for value in values))
BODIES: dict[str, st.SearchStrategy[tuple[str, bytes]]] = {
    "none": st.just(("", b"")),
    "json": st.tuples(
        st.sampled_from([JSON, JSON, "application/json;v=2", "application/vnd.x+json"]),
        JSON_VALUES.map(lambda value: json.dumps(value).encode())
        | st.dictionaries(st.sampled_from(NAMES), JSON_VALUES, max_size=3).map(lambda value: json.dumps(value).encode())
        | st.sampled_from([b'{"a":1,"a":2}', b'{"body": 1}', b'{"x": 1e400}', b"{", b"", b"{}"]),
    ),
    "form": queries().map(lambda text: (FORM, text.encode())),
    "multipart": st.lists(FIELDS, max_size=3).map(
        lambda parts: ("multipart/form-data; boundary=B", encode_parts(parts))
    ),
    "binary": st.binary(max_size=5).map(lambda data: ("audio/wav", data)),
    "text": TEXTS.map(lambda text: ("text/plain; charset=utf-8", text.encode())),
    "lines": LINES.map(lambda lines: ("application/jsonl", lines)),
}


HEADERS = [
    ("X-Mode", "fast"), ("X-Mode", "a, b"), ("x-mode", "é".encode().decode("latin-1")), ("id", "7"), ("tag", "a,b"),
    ("Cookie", "id=7"), ("Cookie", "tag=1; q=2"), ("Cookie", 'q="x"'), ("Accept", "*/*"), ("User-Agent", "x"), ("X-Other", "1"),
    ("Range", "bytes=1-"), ("If-Match", "x"), ("meta", '{"a":1}'),
]  # fmt: skip


@st.composite
def requests_for(draw: st.DrawFn, routes: list[dict[str, Any]]) -> TunnelCall:
    """A legal request, which is mostly one of a route."""
    route = draw(st.sampled_from(routes))
    method = draw(st.sampled_from([route.get("target_method", route["method"])] * 9 + ["GET", "HEAD", "OPTIONS"]))
    headers = [("Host", "localhost"), *_draw_headers(draw, route)]
    declared = (route["request"] or {}).get("encoding", "none" if method in ("GET", "HEAD") else "json")
    kind, body = draw(BODIES[draw(st.sampled_from([declared] * 6 + [*BODIES]))])
    headers += [("Content-Type", kind)] if kind else []
    return TunnelCall(port=0, method=method, target=_draw_target(draw, route), headers=tuple(headers), body=body)


def _draw_headers(draw: st.DrawFn, route: dict[str, Any]) -> list[Header]:
    declared: list[Header] = [
        ("Cookie", f"{each['name']}=1")
        if each["in"] == "cookie"
        else (each["name"], draw(st.sampled_from(["1", "a,b"])))
        for each in route["parameters"]
        if each["in"] != "query" and draw(st.booleans())
    ]
    return declared + draw(st.lists(st.sampled_from(HEADERS), max_size=draw(st.sampled_from([0, 0, 0, 2]))))


def _draw_target(draw: st.DrawFn, route: dict[str, Any]) -> str:
    segment = TEXTS.map(lambda text: quote(text or "x", safe=""))
    path = route["path"].replace("{id}", draw(segment)).replace("{rest:path}", draw(segment) + "/" + draw(segment))
    path = str(draw(st.sampled_from([path] * 8 + [path + "/c", "/a"])))
    fixed = route["target_path"].partition("?")[2]
    declared = [f"{each['name']}={draw(segment)}" for each in route["parameters"] if each["in"] == "query"]
    others = draw(queries()) if draw(st.sampled_from([False, False, True])) else ""
    query = "&".join(filter(None, [draw(st.sampled_from([fixed] * 5 + [""])), *declared, others]))
    return path + (f"?{query}" if query else "")


@given(data=st.data())
def test_a_request_arrives_as_it_was_sent_or_is_refused(exchange: Any, data: st.DataObject) -> None:
    routes = data.draw(st.lists(ROUTES, min_size=1, max_size=3))
    call = data.draw(requests_for(routes))
    service = data.draw(SERVICES)
    try:
        head, body = exchange(routes, call, service)
    except ForwardingError as refusal:
        assert_is_refused(refusal, service)
        return
    (seen,) = service.seen
    assert seen.method == call.method
    assert_same_target(call.target, seen.target)
    assert_same_headers(routes, call, seen)
    assert_same_body(call, seen)
    assert_same_response(call, service, head, body)


SERVICES = st.builds(
    Service,
    status=st.sampled_from([200, 200, 201, 204, 206, 404, 422, 409]),
    content_type=st.sampled_from([JSON, "text/plain", "audio/wav", "application/json; service-response=empty"]),
    body=st.sampled_from([b"", b"{}", b'{"status": 204}', b'{"status": 200}', b"\xff", b'{"detail": {"error": 1, "status": 404}}']),
)  # fmt: skip


def assert_is_refused(refusal: ForwardingError, service: Service) -> None:
    hint = "; only the tunnel carries this: add register_tunnel(chute, SERVICE_PORTS) to the module"
    assert (refusal.status in range(400, 500), refusal.text.endswith(hint), service.seen) == (True, True, [])


def assert_same_target(ours: str, theirs: str) -> None:
    (path, _, query), (seen_path, _, seen_query) = ours.partition("?"), theirs.partition("?")
    # The last variable may take the rest of a path, with its slashes encoded.
    assert unquote_to_bytes(path) == unquote_to_bytes(seen_path)
    assert path.count(";") == seen_path.count(";")
    assert read_pairs(query) == read_pairs(seen_query)
    assert [token for token in query.split("&") if token and "=" not in token] == [
        token for token in seen_query.split("&") if token and "=" not in token
    ]


def read_pairs(query: str) -> Counter[tuple[str, str]]:
    return Counter(parse_qsl(query, keep_blank_values=True, encoding="latin-1"))


def assert_same_headers(routes: list[dict[str, Any]], call: TunnelCall, seen: TunnelCall) -> None:
    harmless = {"accept", "user-agent", *FRAMING, "content-type"}
    ours, theirs = read_headers(call.headers), read_headers(seen.headers)
    assert {name: value for name, value in ours.items() if name not in harmless} == {
        name: value for name, value in theirs.items() if name not in FRAMING | {"content-type"}
    }


def read_headers(headers: tuple[Header, ...]) -> dict[str, Any]:
    values: dict[str, list[str]] = {}
    for name, value in headers:
        separator = ";" if name.lower() == "cookie" else ","
        values.setdefault(name.lower(), []).extend(item.strip() for item in value.split(separator))
    return {name: sorted(items) if name == "cookie" else items for name, items in values.items()}


def assert_same_body(call: TunnelCall, seen: TunnelCall) -> None:
    assert bool(call.body) == bool(seen.body)
    if not call.body:
        return
    kind = dict(read_headers(call.headers)).get("content-type", ["application/octet-stream"])[0]
    seen_kind = read_headers(seen.headers)["content-type"][0]
    if kind.startswith("multipart/"):
        assert read_parts(kind, call.body) == read_parts(seen_kind, seen.body)
        return
    assert kind.replace(" ", "") == seen_kind.replace(" ", "")
    if kind.startswith(JSON) or kind.endswith("+json"):
        assert json.dumps(json.loads(call.body), sort_keys=True) == json.dumps(json.loads(seen.body), sort_keys=True)
    elif kind == FORM:
        ours, theirs = (
            parse_qsl(body.decode(), keep_blank_values=True, encoding="latin-1") for body in (call.body, seen.body)
        )
        assert ours == theirs
    elif kind == "application/jsonl":
        ours, theirs = ([json.loads(line) for line in body.splitlines()] for body in (call.body, seen.body))
        assert repr(ours) == repr(theirs)
    else:
        assert call.body == seen.body


def read_parts(kind: str, body: bytes) -> list[tuple[Any, ...]]:
    message = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    parts: Any = message.get_payload() if message.is_multipart() else []
    read = []
    for part in parts:
        data = part.get_payload(decode=True)
        if part.get_content_type() == JSON and part.get_filename() is None:
            data = json.dumps(json.loads(data), sort_keys=True)
        disposition = str(part["content-disposition"]).split("filename=")[1:]
        read.append((part.get_param("name", header="content-disposition"), disposition, part.get_content_type(), data))
    return read


def assert_same_response(call: TunnelCall, service: Service, head: Head, body: bytes) -> None:
    assert head.status == service.status
    assert body == (b"" if call.method == "HEAD" or service.status == 204 else service.body)
    kinds = [value for name, value in head.headers if name == "Content-Type"]
    # The gateway takes its own mark off the service's media type.
    assert kinds in ([service.content_type], [service.content_type.partition("; service-response")[0]])
