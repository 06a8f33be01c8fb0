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
from chutes_wrappers.host.discovery.probing import Bounds, Finding, probe
from chutes_wrappers.host.discovery.search import FURTHER_PATHS, SEED_PATHS
from tests.upstreams.scripted import (
    Reply,
    Script,
    ScriptedServer,
    html_reply,
    json_reply,
    redirect,
    serving,
    speaking,
    unused_port,
)

OK: dict[str, Any] = {"responses": {"200": {"description": "ok"}}}
BUSY = Reply(status=503)
QUICK = Bounds(timeout_s=60, settle_s=0.05)


def openapi(*paths: str, **rest: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "paths": {path: {"get": OK} for path in paths}, **rest}


def quiet(line: str) -> None:
    """Nobody looks at what is reported."""


class Lines(list[str]):
    """What was reported."""

    def __call__(self, line: str) -> None:
        self.append(line)


def service(server: ScriptedServer, port: int = 8020) -> Service:
    return Service(port=port, root=server.root)


async def find(
    server: ScriptedServer, *, bounds: Bounds = QUICK, report: Callable[[str], None] = quiet, **options: Any
) -> Finding:
    (finding,) = await probe([service(server)], bounds=bounds, report=report, **options)
    return finding


def paths(finding: Finding) -> list[str]:
    return [route.path for route in finding.operations.routes]


@pytest.mark.parametrize("location", [*SEED_PATHS, *FURTHER_PATHS])
async def test_every_usual_place_is_tried(location: str) -> None:
    with serving({location: json_reply(openapi("/say"))}) as server:
        finding = await find(server)
    assert (finding.location, paths(finding)) == (location, ["/say"])


async def test_yaml_is_read() -> None:
    with serving(
        {"/openapi.yaml": Reply(body=b"openapi: 3.0.0\npaths: {/say: {get: {}}}", content_type="text/yaml")}
    ) as server:
        assert paths(await find(server)) == ["/say"]


async def test_paths_of_the_users_come_first() -> None:
    script = {"/openapi.json": json_reply(openapi("/usual")), "/mine.json": json_reply(openapi("/mine"))}
    with serving(script) as server:
        assert paths(await find(server, probe_paths=("mine.json",))) == ["/mine"]


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
    with serving({**script, "/hidden/spec.json": json_reply(openapi("/say"))}) as server:
        assert (await find(server)).location == "/hidden/spec.json"


async def test_a_page_that_names_another_host_is_named() -> None:
    with serving({"/docs": html_reply("ui({url: 'https://petstore.example/swagger.json'})")}) as server:
        finding = await find(server)
    assert finding.location is None
    assert finding.problems == ("/docs names a specification on another host (https://petstore.example/swagger.json)",)


async def test_ports_are_probed_in_parallel_and_keep_their_order() -> None:
    both_are_asked = threading.Barrier(2)

    def answered_together() -> Reply:
        both_are_asked.wait(60)
        return json_reply(openapi("/say"))

    script = {"/openapi.json": answered_together}
    with serving(script) as first, serving(script) as second:
        findings = await probe([service(first, 1), service(second, 2)], bounds=QUICK, report=quiet)
    assert [(finding.port, finding.location) for finding in findings] == [(1, "/openapi.json"), (2, "/openapi.json")]


async def test_a_port_that_answers_late_is_waited_for() -> None:
    port = unused_port()
    lines = Lines()

    class LateServer:
        def __enter__(self) -> None:
            self.done = threading.Event()
            self.thread = threading.Thread(target=self.serve)
            self.thread.start()

        def serve(self) -> None:
            time.sleep(0.3)
            with serving({"/openapi.json": json_reply(openapi("/say"))}, port=port):
                self.done.wait(60)

        def __exit__(self, *_: object) -> None:
            self.done.set()
            self.thread.join()

    with LateServer():
        (finding,) = await probe([Service(port=8020, root=f"http://127.0.0.1:{port}")], bounds=QUICK, report=lines)
    assert paths(finding) == ["/say"]
    assert re.fullmatch(r"port 8020 answers after \d+\.\d s", lines[0])


async def test_a_specification_that_comes_later_is_waited_for() -> None:
    asked = itertools.count(1)

    def later() -> Reply:
        return json_reply(openapi("/say")) if next(asked) > 3 else BUSY

    with serving({"/openapi.json": later}) as server:
        assert paths(await find(server)) == ["/say"]


async def test_a_definite_no_does_not_take_the_whole_time() -> None:
    with serving({}) as server:
        started = time.monotonic()
        finding = await find(server, bounds=Bounds(timeout_s=60, settle_s=0.3))
    assert 0.3 <= time.monotonic() - started < 30
    assert (finding.answered, finding.location, finding.problems) == (True, None, ())


async def test_a_definite_no_is_not_believed_while_another_port_still_changes() -> None:
    started = time.monotonic()

    def from_then(after_s: float, path: str, before: Reply) -> Script:
        return {"/openapi.json": lambda: json_reply(openapi(path)) if time.monotonic() - started > after_s else before}

    with serving(from_then(1.5, "/early", BUSY)) as one, serving(from_then(3.7, "/late", Reply(status=404))) as other:
        findings = await probe(
            [Service(port=1, root=one.root), Service(port=2, root=other.root)],
            bounds=Bounds(timeout_s=60, settle_s=3),
            report=print,
        )
    assert [paths(finding) for finding in findings] == [["/early"], ["/late"]]


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (html_reply("<!doctype html><title>App</title>"), "/openapi.json is an HTML page"),
        (Reply(body=b"[" * 100_000), "/openapi.json is nested too deeply"),
        (Reply(body=b" " * 49 * 1024**2), "/openapi.json is larger than 48 MiB"),
        (Reply(body=b"OK", content_type="text/plain"), "/openapi.json is not a JSON or YAML object"),
        (Reply(status=401), "/openapi.json answers 401"),
        (Reply(status=500), "/openapi.json answers 500"),
        (redirect("http://example.com/openapi.json"), "/openapi.json redirects to another host"),
        (
            json_reply(openapi(*(f"/p{n}" for n in range(50_001)))),
            "/openapi.json describes more than 50,000 operations",
        ),
        (json_reply({"openapi": "3.0.0", "paths": 5}), "/openapi.json is a specification whose `paths`"),
    ],
    ids=["html", "depth", "size", "text", "401", "500", "redirect", "paths", "types"],
)
async def test_what_is_there_instead_is_named_and_the_search_goes_on(reply: Reply, problem: str) -> None:
    with serving({"/openapi.json": reply}) as server:
        finding = await find(server)
    assert finding.location is None
    assert finding.problems[0].startswith(problem)
    with serving({"/openapi.json": reply, "/swagger.json": json_reply(openapi("/say"))}) as server:
        assert paths(await find(server)) == ["/say"]


async def test_a_server_that_answers_everything_is_named_in_one_line() -> None:
    with serving({}, otherwise=html_reply("<html>app</html>")) as server:
        finding = await find(server)
    assert finding.problems == (
        f"/openapi.json is an HTML page (like {len(SEED_PATHS) + len(FURTHER_PATHS) - 1} other paths)",
    )


async def test_an_empty_specification_gives_way_to_a_fuller_one() -> None:
    script = {"/openapi.json": json_reply(openapi()), "/api/openapi.json": json_reply(openapi("/say"))}
    with serving(script) as server:
        assert (await find(server)).location == "/api/openapi.json"
    with serving({"/openapi.json": json_reply(openapi("/{id}"))}) as server:
        finding = await find(server)
    assert (finding.location, len(finding.operations.skipped)) == ("/openapi.json", 1)


async def test_silence_and_other_protocols_end_with_the_reason() -> None:
    (silent,) = await probe(
        [Service(port=1, root=f"http://127.0.0.1:{unused_port()}")], bounds=Bounds(timeout_s=0.3), report=quiet
    )
    assert not silent.answered
    assert silent.problems[0].startswith("no answer")
    with speaking(b"-ERR nonsense\r\n") as port:
        (other,) = await probe([Service(port=1, root=f"http://127.0.0.1:{port}")], bounds=QUICK, report=quiet)
    assert not other.answered
    assert "does not speak HTTP" in other.problems[0]


@pytest.mark.parametrize(
    ("declared", "existing", "found"),
    [
        (["https://api.example.com/v2"], "/v2/say", "/v2/say"),
        (["https://api.example.com/v2"], "/say", "/say"),
        (["/v1", "/v2"], "/v2/say", "/v2/say"),
        (["/v1"], None, "/v1/say"),
    ],
    ids=["exists", "only elsewhere", "the second", "undecided"],
)
async def test_a_get_decides_which_server_path_is_here(declared: list[str], existing: str | None, found: str) -> None:
    document = openapi("/say", servers=[{"url": url} for url in declared])
    script = {"/openapi.json": json_reply(document)} | ({existing: Reply(status=422)} if existing else {})
    with serving(script) as server:
        lines = Lines()
        assert paths(await find(server, report=lines)) == [found]
    assert any("none of them" in line for line in lines) == (
        existing is not None and not found.startswith(declared[0][-3:])
    )


async def test_a_mounted_application_is_found_below_its_specification() -> None:
    script = {"/api/openapi.json": json_reply(openapi("/say")), "/api/say": json_reply(1)}
    with serving(script) as server:
        assert paths(await find(server)) == ["/api/say"]


SPECIFICATION = {"/openapi.json": json_reply(openapi("/say", "/api/v2/heartbeat"))}


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
async def test_the_readiness_path_is_the_first_that_says_so(
    script: Script, health_check: tuple[str, ...], readiness: str | None
) -> None:
    with serving({**SPECIFICATION, **script}) as server:
        assert (await find(server, health_check=health_check)).readiness == readiness


async def test_a_server_that_answers_everything_has_no_readiness_path_but_its_images_own() -> None:
    with serving(SPECIFICATION, otherwise=html_reply("<html>app</html>")) as server:
        assert (await find(server)).readiness is None
        own = ("CMD-SHELL", "curl -f http://localhost:8020/ || exit 1")
        assert (await find(server, health_check=own)).readiness == "/"


async def test_a_service_that_is_still_loading_is_waited_for() -> None:
    asked = itertools.count(1)

    def loading() -> Reply:
        return json_reply("ok") if next(asked) > 3 else BUSY

    with serving({**SPECIFICATION, "/health": loading}) as server:
        assert (await find(server)).readiness == "/health"
    with serving({**SPECIFICATION, "/health": BUSY}) as server:
        finding = await find(server, bounds=Bounds(timeout_s=0.5))
    assert finding.readiness is None
    assert finding.problems == ("/health never said that it is ready",)
    assert paths(finding) == ["/say", "/api/v2/heartbeat"]


async def test_a_readiness_path_is_found_without_a_specification() -> None:
    with serving({"/health": json_reply("ok")}) as server:
        finding = await find(server)
    assert (finding.location, finding.readiness) == (None, "/health")


async def test_a_hung_service_takes_no_longer_than_the_bound() -> None:
    is_over = threading.Event()

    def hang() -> Reply:
        assert is_over.wait(60)
        return BUSY

    with serving({"/openapi.json": hang}) as server:
        finding = await find(server, bounds=Bounds(timeout_s=0.5))
        is_over.set()
    assert not finding.answered


async def test_an_example_of_every_hostile_kind_at_once() -> None:
    script: dict[str, Reply] = {
        "/openapi.json": Reply(body=json.dumps(openapi(servers="x", components=[])).encode()[:-1]),
        "/swagger.json": Reply(body=b"a: &a [*a]"),
        "/docs/openapi.json": Reply(body=b"\xff\xfe"),
        "/docs": html_reply("url: 'http://[' url: '/\x00' url: '" + "a" * 3000 + "'"),
        "/redoc": Reply(body=b"\xff" * 1000, content_type="text/html"),
        "/openapi.yaml": json_reply(openapi("/say")),
    }
    with serving(script) as server:
        assert paths(await find(server)) == ["/say"]


async def test_a_specification_in_several_files_is_read_whole() -> None:
    script = {
        "/openapi.json": json_reply({"openapi": "3.1.0", "paths": {"/say": {"$ref": "parts/say.json#/item"}}}),
        "/parts/say.json": json_reply({"item": {"get": {"summary": "Say it."}}}),
    }
    with serving(script) as server:
        (route,) = (await find(server)).operations.routes
    assert (route.path, route.summary) == ("/say", "Say it.")


async def test_what_is_exposed_is_published() -> None:
    with serving({"/openapi.json": json_reply(openapi("/a/{id}", "/static/x"))}) as server:
        assert paths(await find(server, expose=frozenset({"parameters"}))) == ["/a/id"]
