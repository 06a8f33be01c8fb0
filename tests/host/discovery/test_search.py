"""Where specifications are found, at services whose responses are written down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from chutes_wrappers.host.discovery.fetching import Response, Service
from chutes_wrappers.host.discovery.places import DEFAULT_PATHS, DOCUMENTATION_PAGES, FURTHER_PATHS
from chutes_wrappers.host.discovery.search import MAX_REQUESTS, Search

PLACES = (*DEFAULT_PATHS, *DOCUMENTATION_PAGES, *FURTHER_PATHS)
OK: dict[str, Any] = {"responses": {"200": {"description": "ok"}}}


def build_document(*paths: str, **rest: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "paths": {path: {"post": OK} for path in paths}, **rest}


def as_json(value: Any, content_type: str = "application/json") -> Response:
    return Response(status=200, path="", content_type=content_type, body=json.dumps(value).encode())


def as_page(text: str, content_type: str = "text/html") -> Response:
    return Response(status=200, path="", content_type=content_type, body=text.encode())


SAY = as_json(build_document("/say"))


class Scripted:
    """Returns ``responses``, ``otherwise`` at any other path; with None it does not respond. ``requested`` has the paths in order."""

    def __init__(self, responses: Mapping[str, Response | None], otherwise: Response | None = None) -> None:
        self.responses = responses
        self.otherwise = otherwise or Response(status=404, path="")
        self.requested: list[str] = []
        self.running = self.most_running = 0

    async def get(
        self, path: str, *, timeout_s: float = 60, follow: bool = True, is_optional: bool = False
    ) -> Response | None:
        self.requested.append(path)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        response = self.responses.get(path, self.otherwise)
        return response and Response(**{**vars(response), "path": response.path or path})

    async def search(self, *paths: str, is_full: bool = True) -> Search:
        service = Service(port=8020, root="http://127.0.0.1:32768")
        search = Search(self.get, service, paths, lambda line: None, is_full=is_full)
        self.is_certain = await search.run()
        return search


def find_routes(search: Search) -> list[str]:
    return [route.target_path for route in search.result.operations.routes] if search.result else []


def find_locations(search: Search) -> tuple[str, ...]:
    return search.result.locations if search.result else ()


async def test_every_place_is_searched_once_and_a_few_at_a_time() -> None:
    for place in PLACES:
        service = Scripted({place: SAY})
        search = await service.search()
        assert (find_locations(search), find_routes(search)) == ((place,), ["/say"])
        assert len(service.requested) == len(set(service.requested)) <= MAX_REQUESTS
        assert service.most_running <= 4


SWAGGER_UI = '<script src="./swagger-ui-bundle.js"></script><script src="{}"></script>'
PAGES: dict[str, dict[str, Response]] = {
    "swaggo": {
        "/swagger/index.html": as_page(SWAGGER_UI.format("swagger-initializer.js")),
        "/swagger/swagger-initializer.js": as_page('window.ui = SwaggerUIBundle({url: "x/doc.json"})', "text/javascript"),
        "/swagger/x/doc.json": SAY,
    },
    "springdoc groups": {
        "/v3/api-docs/swagger-config": as_json({"urls": [{"url": "/v3/api-docs/g1", "name": "g1"}], "validatorUrl": ""}),
        "/v3/api-docs/g1": SAY,
    },
    "springfox groups": {
        "/swagger-resources": as_json([{"name": "g", "location": "/v2/api-docs?group=g", "swaggerVersion": "2.0"}]),
        "/v2/api-docs?group=g": SAY,
    },
    "django": {"/api/docs": as_page(r'SwaggerUIBundle({url: "\u002Fhidden\u002Fschema\u002F"})'), "/hidden/schema/": SAY},
    "scalar": {
        "/scalar": as_page('<script id="api-reference" data-configuration="{&quot;spec&quot;:{&quot;url&quot;:&quot;/h.json&quot;}}">'),
        "/h.json": SAY,
    },
    "micronaut": {"/swagger-ui": as_page("<rapi-doc spec-url='/swagger/app-1.0.yml'>"), "/swagger/app-1.0.yml": SAY},
    "an index": {
        "/": as_page('<a href="/help">Help</a><a href="/manual/apidocs/">API</a>'),
        "/manual/apidocs/": as_page('<base href="/manual/"><redoc spec-url="files/all.yaml">'),
        "/manual/files/all.yaml": SAY,
    },
    "a redirect": {
        "/": Response(status=200, path="/ui/docs/index", content_type="text/html", body=b"<redoc spec-url='../a.json'>"),
        "/ui/a.json": SAY,
    },
    "a redirect in HTML": {
        "/": as_page('<meta http-equiv="refresh" content="0; url=/x/swagger/">'),
        "/x/swagger/": as_page("const ui = SwaggerUIBundle({urls: [{name: 'x', url: `./s.json`}]})"),
        "/x/swagger/s.json": SAY,
    },
    "an index in JSON": {"/": as_json({"name": "x", "links": {"spec": "/v9/openapi.json"}}), "/v9/openapi.json": SAY},
    "a link element": {"/": as_page('<link rel="service-desc" type="application/yaml" href="/d">'), "/d": SAY},
    "a link header": {"/": Response(status=404, path="", link='</a>; rel=up, </d?x=1>; rel="service-desc"'), "/d?x=1": SAY},
    "a catalogue": {
        "/.well-known/api-catalog": as_json(
            {"linkset": [{"anchor": "/x", "service-desc": [{"href": "/d", "type": "application/json"}]}]}
        ),
        "/d": SAY,
    },
}  # fmt: skip


@pytest.mark.parametrize("responses", PAGES.values(), ids=PAGES.keys())
async def test_the_services_own_pages_name_its_specification(responses: dict[str, Response]) -> None:
    assert find_routes(await Scripted(responses).search()) == ["/say"]


SOURCE = json.dumps(build_document("/say", info={"title": 'a "quoted" } title', "description": "</b> it's"}))
EMBEDDED = {
    "swagger-ui-express": f'window.onload = function() {{ let options = {{"swaggerDoc": {SOURCE}, "customOptions": {{}}}}; }}',
    "redoc": f'<script>const __redoc_state = {{"menu": {{"a": 1}}, "spec": {{"data": {SOURCE}}}}};</script>',
    "scalar": f'<script id="api-reference" type="application/json">\n{SOURCE}</script>',
    "swagger ui": f"<script>SwaggerUIBundle({{ dom_id: '#x', spec: {SOURCE}, layout: 'Base' }})</script>",
    "a string": f"spec: JSON.parse({json.dumps(SOURCE)})",
    "a string in single quotes": "spec: JSON.parse('" + json.dumps(build_document("/say")) + "')",
    "a JavaScript object": """var spec = {openapi: "3.0.0", paths: {'/say': {post: {responses: {}}}}, tags: [],}; go(spec)""",
    "keys in another order": """const spec = {"info": {}, "paths": {"/say": {"post": {}}}, "swagger": "2.0"}""",
}


@pytest.mark.parametrize("text", EMBEDDED.values(), ids=EMBEDDED.keys())
async def test_a_specification_inside_a_page_is_read(text: str) -> None:
    search = await Scripted({"/docs": as_page(text)}).search()
    assert (find_locations(search), find_routes(search)) == (("/docs",), ["/say"])


async def test_a_specification_inside_a_pages_script_is_read() -> None:
    script = as_page(EMBEDDED["swagger-ui-express"], "application/javascript; charset=utf-8")
    responses = {"/api": as_page(SWAGGER_UI.format("./api/swagger-ui-init.js")), "/api/swagger-ui-init.js": script}
    assert find_locations(await Scripted(responses).search()) == ("/api/swagger-ui-init.js",)


async def test_all_documents_of_a_service_are_read_and_each_operation_once() -> None:
    document = build_document("/say", "/items", "/items/{id}")
    responses = {
        "/openapi.json": as_json(document),
        "/openapi.yaml": as_json({**document, "info": {}}, "application/yaml"),
        "/api-json": as_json(build_document("/say", "/items/{id}", "/ready")),
        "/v2/docs/dataplane.json": as_json(build_document("/infer")),
    }
    search = await Scripted(responses).search()
    assert find_locations(search) == ("/openapi.json", "/api-json", "/v2/docs/dataplane.json")
    assert sorted(find_routes(search)) == ["/infer", "/items", "/ready", "/say"]
    assert search.result is not None
    assert [entry.path for entry in search.result.operations.skipped] == ["/items/{id}"]


async def test_one_document_at_every_path_is_read_once() -> None:
    service = Scripted({}, otherwise=SAY)
    search = await service.search()
    assert (find_locations(search), find_routes(search)) == (("/openapi.json",), ["/say"])


async def test_an_application_that_returns_its_page_for_every_path_is_read_once() -> None:
    page = as_page("<html><a href='/docs/a'></a><a href='/docs/b'></a><script src='/app-docs.js'></script>")
    service = Scripted({"/v2/api-docs": SAY}, otherwise=page)
    search = await service.search()
    assert find_locations(search) == ("/v2/api-docs",)
    assert len(service.requested) <= MAX_REQUESTS
    documents = {*DEFAULT_PATHS, *FURTHER_PATHS} - {"/v2/api-docs"}
    assert search.problems == dict.fromkeys(documents, "is an HTML page")


async def test_the_number_of_requests_is_limited() -> None:
    def link(path: str) -> Response:
        return as_page("".join(f"<a href='{path}/{n}'>" for n in range(9)))

    paths = ["/docs", *(f"/docs/{n}" for n in range(9)), *(f"/docs/{n}/{m}" for n in range(9) for m in range(9))]
    chain = {path: link(path) for path in paths}
    service = Scripted(chain)
    await service.search()
    assert len(service.requested) == MAX_REQUESTS


async def test_the_users_paths_come_first_and_suffice() -> None:
    responses = {
        "/mine": as_page("<redoc spec-url='/mine.json'>"),
        "/mine.json": SAY,
        "/openapi.json": as_json(build_document("/x")),
    }
    service = Scripted(responses)
    search = await service.search("/mine")
    assert (find_routes(search), service.requested) == (["/say"], ["/mine", "/mine.json"])
    assert find_routes(await Scripted(responses).search("/nothing")) == ["/x"]


@pytest.mark.parametrize(
    ("responses", "otherwise", "is_certain"),
    [
        ({}, Response(status=503, path=""), False),
        ({"/openapi.json": None}, None, False),
        ({}, None, True),
    ],
)
async def test_a_service_that_starts_gets_few_requests(
    responses: dict[str, Response | None], otherwise: Response | None, *, is_certain: bool
) -> None:
    service = Scripted(responses, otherwise)
    await service.search(is_full=is_certain is False)
    assert service.is_certain is is_certain
    assert service.requested == list(DEFAULT_PATHS)


async def test_places_without_a_response_do_not_end_the_search_at_once() -> None:
    service = Scripted({"/": None, "/docs": None, "/api-json": SAY})
    assert find_routes(await service.search()) == ["/say"]
    service = Scripted({**dict.fromkeys(DOCUMENTATION_PAGES), "/api-json": SAY})
    search = await service.search()
    assert (find_routes(search), service.is_certain) == ([], True)
    assert len(service.requested) < 20


async def test_a_status_that_means_not_yet_is_not_final_but_a_limit_of_requests_is() -> None:
    for status, is_certain in ((503, False), (429, True)):
        service = Scripted({"/v3/api-docs": Response(status=status, path="")})
        await service.search()
        assert service.is_certain is is_certain
