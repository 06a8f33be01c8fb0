"""What is suggested for a service that wants credentials, and how discovery notices it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chutes_wrappers.core.module_headers import parse_headers
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.discovery.credentials import Refusal, select_secured_path, suggest_header
from chutes_wrappers.host.discovery.fetching import Service
from chutes_wrappers.host.discovery.probing import Bounds, Finding, list_refusals, probe
from chutes_wrappers.host.discovery.specification import Operations
from tests.upstreams.recording import RecordedReply, RecordedRequest, serve_recorder

DOCUMENT = {
    "openapi": "3.0.3",
    "info": {"title": "t", "version": "1"},
    "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}},
    "security": [{"key": []}],
    "paths": {"/models": {"get": {"responses": {"200": {"description": "ok"}}}}},
}


def secured(name: str, place: str = "header", path: str = "/a", **more: Any) -> Route:
    parameter = {"name": name, "in": place, "credential": True}
    return Route.model_validate({"path": path, "method": "GET", "parameters": [parameter], **more})


def refused(challenge: str = "") -> list[Refusal]:
    return [Refusal(port=1, path="/a", status=401, challenge=challenge)]


@pytest.mark.parametrize(
    ("routes", "challenge", "line"),
    [
        ([secured("X-API-Key")], "", '{"X-API-Key": "${SERVICE_KEY}"}'),
        ([secured("Authorization")], "", '{"Authorization": "Bearer ${SERVICE_KEY}"}'),
        ([secured("Authorization")], 'Basic realm="x"', '{"Authorization": "Basic ${SERVICE_KEY}"}'),
        ([secured("sid", "cookie")], "", '{"Cookie": "sid=${SERVICE_KEY}"}'),
        ([secured("Authorization"), secured("X-B"), secured("X-B", path="/b")], "", '{"X-B": "${SERVICE_KEY}"}'),
        ([], "Bearer", '{"Authorization": "Bearer ${SERVICE_KEY}"}'),
        ([], "Negotiate", None),
        ([secured("key", "query")], "", None),
        ([], "", None),
    ],
)
def test_the_header_is_that_of_the_specification_or_of_the_challenge(
    routes: list[Route], challenge: str, line: str | None
) -> None:
    suggestion = suggest_header(routes, refused(challenge))
    assert (suggestion and suggestion.line) == (line and f"CHUTE_HEADERS = {line}")


def test_only_a_get_that_needs_nothing_else_is_requested() -> None:
    other = {"name": "q", "required": True}
    assert select_secured_path([
        Route(path="/open", method="GET"),
        secured("X-A", path="/post", method="POST"),
        secured("X-A", path="/items/{id}"),
        secured("X-A", path="/q", parameters=[{"name": "X-A", "in": "header", "credential": True}, other]),
        secured("X-A", path="/public", target_path="/plain"),
    ]) == "/plain"  # fmt: skip


async def probe_with(headers: dict[str, str], *, is_document_secured: bool) -> tuple[Finding, list[RecordedRequest]]:
    def reply(request: RecordedRequest) -> RecordedReply:
        is_document = request.target == "/openapi.json"
        if request.headers.get("x-api-key") != "k1" and (is_document_secured or not is_document):
            return RecordedReply(status=401, headers={"WWW-Authenticate": "Bearer"})
        return RecordedReply(body=json.dumps(DOCUMENT).encode()) if is_document else RecordedReply(status=404)

    with serve_recorder(reply) as recorder:
        service = Service(port=8020, root=recorder.root, headers=parse_headers(headers, "m.py"))
        (finding,) = await probe(
            [service], bounds=Bounds(timeout_s=60, settle_s=0.05), report=lambda line: None, expose=frozenset()
        )
        return finding, list(recorder.requests)


async def test_a_document_behind_credentials_is_read_with_the_headers_of_the_module() -> None:
    finding, _ = await probe_with({}, is_document_secured=True)
    assert (finding.operations.routes, finding.refusal and finding.refusal.challenge) == ((), "Bearer")
    finding, requests = await probe_with({"X-API-Key": "k1"}, is_document_secured=True)
    assert [route.path for route in finding.operations.routes] == ["/models"]
    assert finding.refusal is None
    assert {request.headers["x-api-key"] for request in requests} == {"k1"}


async def test_a_refused_route_is_noticed_although_the_document_is_public() -> None:
    finding, _ = await probe_with({}, is_document_secured=False)
    assert finding.refusal is not None
    assert finding.refusal.status == 401


def test_a_refused_path_of_a_service_without_declared_credentials_is_no_concern() -> None:
    refusal = refused()[0]

    def find(*routes: Route) -> list[Refusal]:
        return list_refusals([Finding(port=1, operations=Operations(routes=routes), refusal=refusal)])

    assert find() == [refusal]
    assert find(secured("X-A")) == [refusal]
    assert find(Route(path="/open")) == []
