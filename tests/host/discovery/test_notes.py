from __future__ import annotations

from typing import Any

from chutes_wrappers.core.manifest import Manifest, parse_manifest
from chutes_wrappers.core.routes import Parameter, Route
from chutes_wrappers.host.discovery import composition
from chutes_wrappers.host.discovery.notes import describe_credentials, group_notes
from chutes_wrappers.host.discovery.probing import Finding
from chutes_wrappers.host.discovery.specification import Operations, read_operations

KEY = Parameter.model_validate({"name": "X-API-Key", "in": "header", "credential": True})


def test_equal_notes_are_one_line() -> None:
    assert group_notes(
        [
            "GET /a: the body may also be text/csv",
            "GET /a: cookie `x y` left out: why: so",
            "M-SEARCH /b c: cookie `x y` left out: why: so",
            "POST /c: cookie `x y` left out: why: so",
            "GET /d: another: one",
            "document: server variable",
            "/info is nested too deeply",
        ]
    ) == [
        "GET /a and 2 other operations: cookie `x y` left out: why: so",
        "GET /d: another: one",
        "document: server variable",
        "/info is nested too deeply",
        "GET /a: the body may also be text/csv",
    ]
    assert group_notes(["GET /a: x", "GET /b: x"]) == ["GET /a and 1 other operation: x"]


def test_keys_that_are_credentials_are_described_once() -> None:
    routes = [Route(path="/a", parameters=(KEY,)), Route(path="/b", parameters=(KEY,)), Route(path="/c")]
    assert describe_credentials(routes) == [
        "2 routes take credentials: callers send `X-API-Key` with each call, or CHUTE_HEADERS in the module sets the header"
    ]
    assert describe_credentials(routes[2:]) == []


def test_media_types_of_responses_that_no_call_asks_for_are_noted() -> None:
    names = ("application/json", "text/json", "text/csv", "*/*", "text/event-stream")
    response: dict[str, Any] = {"content": {name: {} for name in names}}
    document: dict[str, Any] = {"openapi": "3.1.0", "paths": {"/a": {"get": {"responses": {"200": response}}}}}
    (note,) = read_operations(document, port=80, prefix="").notes
    assert note == "GET /a: the response may also be text/csv: no call asks for it with Accept"
    document["paths"]["/a"]["get"]["parameters"] = [{"name": "accept", "in": "header", "schema": {}}]
    assert read_operations(document, port=80, prefix="").notes == ()


def test_the_manifest_has_all_notes_and_the_report_the_first_ten() -> None:
    notes = tuple(f"GET /a: cookie `c{number:02}` left out: why" for number in range(12))
    finding = Finding(port=80, has_responded=True, operations=Operations(routes=(Route(path="/a"),), notes=notes))
    manifest = composition.build_manifest([finding], roots={80: "http://127.0.0.1:80"})
    assert parse_manifest(manifest.to_json(), where="x").notes == {"80": notes}
    assert Manifest(notes={"80": notes[::-1]}).to_json() == Manifest(notes={"80": notes}).to_json()
    lines: list[str] = []
    composition.report_findings(manifest, [finding], lines.append, has_static_routes=False)
    assert lines[-2:] == [f"port 80: {notes[9]}", "… and 2 more; the manifest has all of them in `notes`"]
