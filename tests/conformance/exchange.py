"""A service that records what arrives, and the three ways to it: gateway, forwarder and direct client, each the real one."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any, TypeVar

from chutes_wrappers.core.cord_plan import PlannedCord, plan_cords
from chutes_wrappers.core.exposure import CATEGORIES
from chutes_wrappers.core.platform_rules import BODILESS_METHODS
from chutes_wrappers.core.routes import Route
from chutes_wrappers.emulator import runner
from chutes_wrappers.host.discovery.document_reader import DocumentReader
from chutes_wrappers.host.discovery.fetching import Service
from chutes_wrappers.host.discovery.specification import Operations
from chutes_wrappers.host.document_client.direct_client import DirectClient
from chutes_wrappers.host.document_client.direct_request import DirectRequest
from chutes_wrappers.host.document_client.service_document import read_service_document
from chutes_wrappers.host.forwarding.exact_calls import find_exact_call
from chutes_wrappers.host.forwarding.matching import RouteTable
from chutes_wrappers.runtime.background import BackgroundLoop
from chutes_wrappers.runtime.gateway import Gateway
from chutes_wrappers.runtime.tunnel_frames import TunnelCall
from tests.conformance.features import BOUNDARY, Part, Request

LOCATION = "/openapi.json"
# What a connection needs.
_FRAMING = {"host", "content-length", "connection", "transfer-encoding"}
_SECONDS = 60
_T = TypeVar("_T")


def _write_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


async def _get_nothing(path: str, **options: Any) -> None:
    """The service has no other file."""


def discover(document: Mapping[str, Any], port: int) -> tuple[Operations, tuple[PlannedCord, ...]]:
    """Return what discovery reads in ``document``, and the calls that the chute publishes for it."""
    reader = DocumentReader(
        _get_nothing, Service(port=port, root=f"http://127.0.0.1:{port}"), lambda line: None, frozenset(CATEGORIES)
    )
    operations = _complete(reader.read(json.loads(json.dumps(document)), LOCATION)).operations
    assert operations is not None
    return operations, plan_cords(operations.routes, port, expose=CATEGORIES).cords


def _complete(work: Coroutine[Any, Any, _T]) -> _T:
    """Return the result of ``work``, which waits for nothing: much faster than an event loop for each of 1,000 documents."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: _T = stop.value
        return result
    raise TypeError("it waits for something")


def build_direct(document: Mapping[str, Any], route: Route, port: int, call: Mapping[str, Any]) -> DirectRequest:
    """Return the direct client's request for ``call``. It reads the document by itself."""
    known = read_service_document(json.dumps(document).encode(), "application/json", LOCATION)
    return DirectClient(documents={port: known}).build_request(route, port, dict(call))


@dataclass
class Exchange:
    """Sends requests to the service, and returns each as it arrived."""

    background: BackgroundLoop
    gateway: Gateway
    port: int = 0
    _seen: list[Request] = field(default_factory=list)

    def call(self, cord: PlannedCord, call: Mapping[str, Any]) -> Request:
        """Call a route as a caller of the chute does: with a query string if it is published as GET."""
        if cord.public_method in BODILESS_METHODS:
            query = {name: value if isinstance(value, str) else _write_json(value) for name, value in call.items()}
            return self._send(cord, {}, query)
        return self._send(cord, dict(call), {})

    def forward(self, cords: tuple[PlannedCord, ...], request: Request) -> Request:
        """Send a client's request through the routes. Raises TunnelRequired."""
        call = _write_request(request, self.port)
        matches = RouteTable(cords).iter_matches(self.port, call.method, call.target.partition("?")[0])
        exact = find_exact_call(matches, call)
        assert exact.lost_headers == ()
        # The platform keeps one JSON object, and the last of repeated names in a query (PLATFORM.md, section 3).
        return self._send(exact.match.cord, json.loads(json.dumps(exact.values.body)), dict(exact.values.query))

    def send_direct(self, request: DirectRequest) -> Request:
        """Send a direct request as the emulated instance does."""
        fields = {
            "port": self.port,
            "method": request.method,
            "target": request.target,
            "headers": dict(request.headers),
            "body": base64.b64encode(request.body).decode(),
            "timeout": _SECONDS,
            "sample": _SECONDS,
        }
        response = self.background.submit(runner._send_direct_request(fields)).result(_SECONDS)
        assert response.get("status") == 200, response
        return self._seen.pop()

    def _send(self, cord: PlannedCord, body: Any, query: dict[str, str]) -> Request:
        self.gateway.handle_call(cord.route, cord.port, {"json": body, "params": query})
        return self._seen.pop()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Record the requests of one connection."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, target, _ = head[0].split(" ")
                headers = {name: value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
                body = await _read_body(reader, {name.lower(): value for name, value in headers.items()})
                self._seen.append(_read_request(method, target, headers, body))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()


@contextlib.contextmanager
def open_exchange() -> Iterator[Exchange]:
    """Yield an Exchange whose service listens until the block ends."""
    background = BackgroundLoop("conformance")
    exchange = Exchange(background, Gateway(background))

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(exchange.serve, "127.0.0.1", 0)

    async def close(server: asyncio.Server) -> None:
        await exchange.gateway.close()
        server.close()
        await server.wait_closed()

    server = background.submit(listen()).result(_SECONDS)
    exchange.port = server.sockets[0].getsockname()[1]
    yield exchange
    background.submit(close(server)).result(_SECONDS)


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    while "transfer-encoding" in headers and (size := int(await reader.readline(), 16)) >= 0:
        body += (await reader.readexactly(size + 2))[:-2]
        if not size:
            break
    return body


def _read_request(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
    own = {name.lower(): value for name, value in headers.items() if name.lower() not in _FRAMING}
    content_type = own.get("content-type", "")
    if not content_type.startswith("multipart/"):
        return Request(method=method, target=target, headers=own, body=body)
    parts = _read_parts(content_type, body)
    return Request(
        method=method, target=target, headers={**own, "content-type": content_type.partition(";")[0]}, body=parts
    )


def _read_parts(content_type: str, body: bytes) -> tuple[Part, ...]:
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    payload = message.get_payload()
    assert isinstance(payload, list)
    return tuple(map(_read_part, payload))


def _read_part(part: Any) -> Part:
    known = {"content-disposition", "content-type", "content-length"}
    data = part.get_payload(decode=True)
    return Part(
        name=part.get_param("name", header="Content-Disposition") or "",
        data=data,
        content_type=part.get("Content-Type", ""),
        filename=part.get_filename(),
        headers={name: value for name, value in part.items() if name.lower() not in known},
    )


def _write_request(request: Request, port: int) -> TunnelCall:
    headers, body = dict(request.headers), request.body
    if isinstance(body, tuple):
        headers["content-type"] += f"; boundary={BOUNDARY}"
        body = b"".join(map(_write_part, body)) + f"--{BOUNDARY}--\r\n".encode()
    pairs = tuple((name, value.encode().decode("latin-1")) for name, value in headers.items())
    return TunnelCall(port=port, method=request.method, target=request.target, headers=pairs, body=body)


def _write_part(part: Part) -> bytes:
    disposition = f'form-data; name="{part.name}"' if part.name else ""
    disposition += f'; filename="{part.filename}"' if part.filename else ""
    headers = {"Content-Disposition": disposition, "Content-Type": part.content_type, **part.headers}
    lines = [f"--{BOUNDARY}", *(f"{name}: {value}" for name, value in headers.items() if value), "", ""]
    return "\r\n".join(lines).encode() + part.data + b"\r\n"
