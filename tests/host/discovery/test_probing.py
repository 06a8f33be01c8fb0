from __future__ import annotations

import itertools
import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from chutes_wrappers.host.discovery.fetching import Service
from chutes_wrappers.host.discovery.places import DEFAULT_PATHS, FURTHER_PATHS
from chutes_wrappers.host.discovery.probing import Bounds, Finding, probe
from tests.scenario import find_free_port
from tests.upstreams.scripted import (
    Reply,
    Script,
    ScriptedServer,
    html_reply,
    json_reply,
    redirect,
    serve_greeting,
    serve_script,
)

OK: dict[str, Any] = {"responses": {"200": {"description": "ok"}}}
BUSY = Reply(status=503)
QUICK = Bounds(timeout_s=60, settle_s=0.05)


def build_document(*paths: str, **rest: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "paths": {path: {"get": OK} for path in paths}, **rest}


def ignore_report(line: str) -> None:
    """The test does not check the report."""


class Lines(list[str]):
    """The reported lines."""

    def __call__(self, line: str) -> None:
        self.append(line)


def build_service(server: ScriptedServer, port: int = 8020) -> Service:
    return Service(port=port, root=server.root)


async def probe_server(
    server: ScriptedServer, *, bounds: Bounds = QUICK, report: Callable[[str], None] = ignore_report, **options: Any
) -> Finding:
    (finding,) = await probe([build_service(server)], bounds=bounds, report=report, **options)
    return finding


def route_paths(finding: Finding) -> list[str]:
    return [route.path for route in finding.operations.routes]


async def test_yaml_is_read() -> None:
    with serve_script(
        {"/openapi.yaml": Reply(body=b"openapi: 3.0.0\npaths: {/say: {get: {}}}", content_type="text/yaml")}
    ) as server:
        assert route_paths(await probe_server(server)) == ["/say"]


async def test_probe_paths_are_tried_first() -> None:
    script = {"/openapi.json": json_reply(build_document("/usual")), "/mine.json": json_reply(build_document("/mine"))}
    with serve_script(script) as server:
        assert route_paths(await probe_server(server, probe_paths=("mine.json",))) == ["/mine"]


@pytest.mark.parametrize(
    "script",
    [
        {"/docs": html_reply("SwaggerUIBundle({url: '/hidden/spec.json'})")},
        {"/redoc": html_reply("<redoc spec-url='hidden/spec.json'></redoc>")},
        {"/docs": redirect("/docs/"), "/docs/": html_reply("<redoc spec-url='../hidden/spec.json'></redoc>")},
        {
            "/docs": html_reply('<script src="./swagger-initializer.js">'),
            "/swagger-initializer.js": Reply(body=b'SwaggerUIBundle({url: "/hidden/spec.json"})'),
        },
    ],
    ids=["swagger-ui", "redoc", "redirected", "script"],
)
async def test_the_documentation_page_names_the_specification(script: Script) -> None:
    with serve_script({**script, "/hidden/spec.json": json_reply(build_document("/say"))}) as server:
        assert (await probe_server(server)).location == "/hidden/spec.json"


async def test_a_specification_on_another_host_is_reported() -> None:
    with serve_script({"/docs": html_reply("ui({url: 'https://petstore.example/swagger.json'})")}) as server:
        finding = await probe_server(server)
    assert finding.location is None
    assert finding.problems == ("/docs names a specification on another host (https://petstore.example/swagger.json)",)


async def test_ports_are_probed_in_parallel_and_keep_their_order() -> None:
    both_are_asked = threading.Barrier(2)

    def answered_together() -> Reply:
        both_are_asked.wait(60)
        return json_reply(build_document("/say"))

    script = {"/openapi.json": answered_together}
    with serve_script(script) as first, serve_script(script) as second:
        findings = await probe([build_service(first, 1), build_service(second, 2)], bounds=QUICK, report=ignore_report)
    assert [(finding.port, finding.location) for finding in findings] == [(1, "/openapi.json"), (2, "/openapi.json")]


@pytest.mark.parametrize("place", ["/openapi.json", FURTHER_PATHS[-1]])
async def test_a_port_that_responds_late_is_found(place: str) -> None:
    port = find_free_port()
    lines = Lines()

    class LateServer:
        def __enter__(self) -> None:
            self.done = threading.Event()
            self.thread = threading.Thread(target=self.serve)
            self.thread.start()

        def serve(self) -> None:
            time.sleep(0.3)
            with serve_script({place: json_reply(build_document("/say"))}, port=port):
                self.done.wait(60)

        def __exit__(self, *_: object) -> None:
            self.done.set()
            self.thread.join()

    with LateServer():
        (finding,) = await probe([Service(port=8020, root=f"http://127.0.0.1:{port}")], bounds=QUICK, report=lines)
    assert route_paths(finding) == ["/say"]
    assert re.fullmatch(r"port 8020 responded after \d+\.\d s", lines[0])


async def test_a_specification_that_appears_later_is_found() -> None:
    request_numbers = itertools.count(1)

    def later() -> Reply:
        return json_reply(build_document("/say")) if next(request_numbers) > 3 else BUSY

    with serve_script({"/openapi.json": later}) as server:
        assert route_paths(await probe_server(server)) == ["/say"]


async def test_all_documents_of_a_service_that_starts_are_read_and_few_requests_sent() -> None:
    request_numbers = itertools.count(1)
    documents: Script = {
        "/docs.json": json_reply(build_document("/say")),
        "/v2/docs/dataplane.json": json_reply(build_document("/infer")),
    }

    def later() -> Reply:
        if next(request_numbers) > 2:
            server.script, server.otherwise = dict(documents), Reply(status=404)
        return BUSY

    with serve_script({"/openapi.json": later}, otherwise=BUSY) as server:
        finding = await probe_server(server)
    assert finding.locations == ("/docs.json", "/v2/docs/dataplane.json")
    assert len(server.received) < 300


async def test_a_service_without_a_specification_gets_each_request_about_once() -> None:
    with serve_script({}) as server:
        await probe_server(server, bounds=Bounds(timeout_s=60, settle_s=1))
    assert len(server.received) < 200


async def test_a_settled_port_does_not_use_the_whole_timeout() -> None:
    with serve_script({}) as server:
        started = time.monotonic()
        finding = await probe_server(server, bounds=Bounds(timeout_s=60, settle_s=0.3))
    assert 0.3 <= time.monotonic() - started < 30
    assert (finding.has_responded, finding.location, finding.problems) == (True, None, ())


async def test_no_port_is_settled_while_another_port_still_changes() -> None:
    started = time.monotonic()

    def from_then(after_s: float, path: str, before: Reply) -> Script:
        return {
            "/openapi.json": lambda: (
                json_reply(build_document(path)) if time.monotonic() - started > after_s else before
            )
        }

    with (
        serve_script(from_then(1.5, "/early", BUSY)) as one,
        serve_script(from_then(3.7, "/late", Reply(status=404))) as other,
    ):
        findings = await probe(
            [Service(port=1, root=one.root), Service(port=2, root=other.root)],
            bounds=Bounds(timeout_s=60, settle_s=3),
            report=print,
        )
    assert [route_paths(finding) for finding in findings] == [["/early"], ["/late"]]


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (html_reply("<!doctype html><title>App</title>"), "/openapi.json is an HTML page"),
        (Reply(body=b"[" * 100_000), "/openapi.json is nested too deeply"),
        (Reply(body=b"OK", content_type="text/plain"), "/openapi.json is not a JSON or YAML object"),
        (Reply(status=401), "/openapi.json returns status 401"),
        (Reply(status=500), "/openapi.json returns status 500"),
        (redirect("http://example.com/openapi.json"), "/openapi.json redirects to another host"),
        (json_reply({"openapi": "3.0.0", "paths": 5}), "/openapi.json is a specification whose `paths`"),
    ],
    ids=["html", "depth", "text", "401", "500", "redirect", "types"],
)
async def test_an_invalid_document_is_reported_and_the_search_continues(reply: Reply, problem: str) -> None:
    with serve_script({"/openapi.json": reply}) as server:
        finding = await probe_server(server)
    assert finding.location is None
    assert finding.problems[0].startswith(problem)
    with serve_script({"/openapi.json": reply, "/swagger.json": json_reply(build_document("/say"))}) as server:
        assert route_paths(await probe_server(server)) == ["/say"]


async def test_a_document_that_is_too_large_is_reported() -> None:
    with serve_script({"/openapi.json": Reply(body=b" " * 49 * 1024**2)}) as server:
        finding = await probe_server(server)
    assert finding.problems[0] == "/openapi.json is larger than 48 MiB"


async def test_a_server_with_one_response_for_all_paths_is_reported_in_one_line() -> None:
    with serve_script({}, otherwise=html_reply("<html>app</html>")) as server:
        finding = await probe_server(server)
    assert finding.problems == (
        f"/openapi.json is an HTML page (same for {len(DEFAULT_PATHS) + len(FURTHER_PATHS) - 1} other paths)",
    )


async def test_a_specification_with_routes_replaces_an_empty_one() -> None:
    script = {"/openapi.json": json_reply(build_document()), "/api/openapi.json": json_reply(build_document("/say"))}
    with serve_script(script) as server:
        assert (await probe_server(server)).location == "/api/openapi.json"
    with serve_script({"/openapi.json": json_reply(build_document("/{id}"))}) as server:
        finding = await probe_server(server)
    assert (finding.location, len(finding.operations.skipped)) == ("/openapi.json", 1)


async def test_no_response_and_other_protocols_are_reported() -> None:
    (silent,) = await probe(
        [Service(port=1, root=f"http://127.0.0.1:{find_free_port()}")],
        bounds=Bounds(timeout_s=0.3),
        report=ignore_report,
    )
    assert not silent.has_responded
    assert silent.problems[0].startswith("no response")
    with serve_greeting(b"-ERR nonsense\r\n") as port:
        (other,) = await probe([Service(port=1, root=f"http://127.0.0.1:{port}")], bounds=QUICK, report=ignore_report)
    assert not other.has_responded
    assert "its response is not HTTP" in other.problems[0]


@pytest.mark.parametrize(
    ("declared", "existing", "expected"),
    [
        (["https://api.example.com/v2"], "/v2/say", "/v2/say"),
        (["https://api.example.com/v2"], "/say", "/say"),
        (["/v1", "/v2"], "/v2/say", "/v2/say"),
        (["/v1"], None, "/v1/say"),
    ],
    ids=["exists", "only elsewhere", "the second", "undecided"],
)
async def test_a_get_request_selects_the_server_path(declared: list[str], existing: str | None, expected: str) -> None:
    document = build_document("/say", servers=[{"url": url} for url in declared])
    script = {"/openapi.json": json_reply(document)} | ({existing: Reply(status=422)} if existing else {})
    with serve_script(script) as server:
        lines = Lines()
        assert route_paths(await probe_server(server, report=lines)) == [expected]
    assert any("none of them" in line for line in lines) == (
        existing is not None and not expected.startswith(declared[0][-3:])
    )


async def test_a_mounted_application_is_found_below_its_specification() -> None:
    script = {"/api/openapi.json": json_reply(build_document("/say")), "/api/say": json_reply(1)}
    with serve_script(script) as server:
        assert route_paths(await probe_server(server)) == ["/api/say"]


SPECIFICATION = {"/openapi.json": json_reply(build_document("/say", "/api/v2/heartbeat"))}


@pytest.mark.parametrize(
    ("script", "health_check", "readiness"),
    [
        ({"/healthz": json_reply("ok"), "/ping": json_reply("ok")}, (), "/healthz"),
        ({"/health": Reply(status=500), "/ping": json_reply("ok")}, (), "/ping"),
        ({"/health": redirect("/ping"), "/ping": json_reply("ok")}, (), "/ping"),
        ({"/api/v2/heartbeat": json_reply(1)}, (), "/api/v2/heartbeat"),
        ({}, (), None),
        ({"/own": json_reply(1), "/health": json_reply(1)}, ("CMD-SHELL", "curl -f localhost:8020/own"), "/health"),
        ({"/own": json_reply(1), "/health": json_reply(1)}, ("CMD", "curl", "http://localhost:8020/own"), "/own"),
        ({"/health": json_reply(1)}, ("CMD", "curl", "http://localhost:8020/gone"), "/health"),
    ],
)
async def test_the_readiness_path_is_the_first_with_status_2xx(
    script: Script, health_check: tuple[str, ...], readiness: str | None
) -> None:
    with serve_script({**SPECIFICATION, **script}) as server:
        assert (await probe_server(server, health_check=health_check)).readiness == readiness


async def test_a_server_with_one_response_for_all_paths_uses_only_the_images_health_check() -> None:
    with serve_script(SPECIFICATION, otherwise=html_reply("<html>app</html>")) as server:
        assert (await probe_server(server)).readiness is None
        health_check = ("CMD-SHELL", "curl -f http://localhost:8020/ || exit 1")
        assert (await probe_server(server, health_check=health_check)).readiness == "/"


async def test_probing_waits_for_a_loading_service() -> None:
    request_numbers = itertools.count(1)

    def loading() -> Reply:
        return json_reply("ok") if next(request_numbers) > 3 else BUSY

    with serve_script({**SPECIFICATION, "/health": loading}) as server:
        assert (await probe_server(server)).readiness == "/health"
    with serve_script({**SPECIFICATION, "/health": BUSY}) as server:
        finding = await probe_server(server, bounds=Bounds(timeout_s=5))
    assert finding.readiness is None
    assert finding.problems == ("/health never reported that the service is ready",)
    assert route_paths(finding) == ["/say", "/api/v2/heartbeat"]


async def test_a_readiness_path_is_found_without_a_specification() -> None:
    with serve_script({"/health": json_reply("ok")}) as server:
        finding = await probe_server(server)
    assert (finding.location, finding.readiness) == (None, "/health")


async def test_a_service_that_hangs_runs_into_the_timeout() -> None:
    is_over = threading.Event()

    def hang() -> Reply:
        assert is_over.wait(60)
        return BUSY

    with serve_script({"/openapi.json": hang}) as server:
        finding = await probe_server(server, bounds=Bounds(timeout_s=0.5))
        is_over.set()
    assert (finding.location, finding.problems) == (None, ("it did not respond in time",))


async def test_malformed_responses_of_every_kind_together() -> None:
    script: dict[str, Reply] = {
        "/openapi.json": Reply(body=json.dumps(build_document(servers="x", components=[])).encode()[:-1]),
        "/swagger.json": Reply(body=b"a: &a [*a]"),
        "/docs/openapi.json": Reply(body=b"\xff\xfe"),
        "/docs": html_reply("url: 'http://[' url: '/\x00' url: '" + "a" * 3000 + "'"),
        "/redoc": Reply(body=b"\xff" * 1000, content_type="text/html"),
        "/openapi.yaml": json_reply(build_document("/say")),
    }
    with serve_script(script) as server:
        assert route_paths(await probe_server(server)) == ["/say"]


async def test_a_specification_in_several_files_is_read() -> None:
    script = {
        "/openapi.json": json_reply({"openapi": "3.1.0", "paths": {"/say": {"$ref": "parts/say.json#/item"}}}),
        "/parts/say.json": json_reply({"item": {"get": {"summary": "Say it."}}}),
    }
    with serve_script(script) as server:
        (route,) = (await probe_server(server)).operations.routes
    assert (route.path, route.summary) == ("/say", "Say it.")


async def test_what_is_exposed_is_published() -> None:
    with serve_script({"/openapi.json": json_reply(build_document("/a/{id}", "/static/x"))}) as server:
        assert route_paths(await probe_server(server, expose=frozenset({"parameters"}))) == ["/a/id"]
