"""Which operation of a document belongs to a route, and the links between operations."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.document_client.direct_client import DirectClient
from chutes_wrappers.host.document_client.operation_request import build_request
from chutes_wrappers.host.document_client.service_document import (
    ServiceDocument,
    ServiceDocuments,
    read_service_document,
)
from chutes_wrappers.host.parity.stories import StorySource
from tests.host.document_client.documents import PORT, make_document


def find_name(document: dict[str, Any], method: str, path: str) -> str | None:
    """Return the name of the only parameter of the operation that was found."""
    operation = ServiceDocument(document).find_operation(method, path)
    return operation.parameters[0].name if operation else None


def make_item(name: str, **rest: Any) -> dict[str, Any]:
    return {"get": {"parameters": [{"name": name, "in": "query"}]}, **rest}


@pytest.mark.parametrize(
    ("rest", "path", "expected"),
    [
        ({}, "/items", "short"),
        ({}, "/api/items", "long"),
        ({"servers": [{"url": "http://h/api"}]}, "/api/items", "short"),
        ({"servers": [{"url": "/{base}", "variables": {"base": {"default": "api"}}}]}, "/api/items", "short"),
        ({"basePath": "/v1"}, "/v1/items", "short"),
        ({}, "/elsewhere/items", "short"),
        ({}, "/other", None),
    ],
)
def test_an_operation_is_found_below_the_prefix_of_its_server(
    rest: dict[str, Any], path: str, expected: str | None
) -> None:
    document = {"openapi": "3.1.0", "paths": {"/items": make_item("short"), "/api/items": make_item("long")}, **rest}
    assert find_name(document, "GET", path) == expected


def test_variables_have_the_name_that_the_route_has() -> None:
    document = make_document({"parameters": [{"name": "id", "in": "path", "required": True}]}, path="/x/{id}")
    assert find_name(document, "GET", "/p/x/{id}") == "id"
    assert find_name(document, "POST", "/p/x/{id}") is None


@pytest.mark.parametrize("declared", ["/x/{id:int}", "/x/{id:[0-9]+}", "/x/<id>", "/x/:id", "/x/{*id}", "/x/{id...}"])
def test_variables_as_other_frameworks_write_them_are_those_of_the_route(declared: str) -> None:
    parameter = {"name": "id", "in": "path", "required": True}
    document = ServiceDocument(make_document({"parameters": [parameter]}, path=declared))
    route = Route(path=declared, method="GET")
    operation = document.find_operation("GET", route.target_path)
    assert operation is not None
    assert [(each.name, each.place) for each in operation.parameters] == [("id", "path")]
    assert build_request(operation, PORT, {"id": "7"}).target == "/x/7"


def test_references_are_followed_and_circular_ones_end() -> None:
    document = {
        "openapi": "3.1.0",
        "paths": {"/x": {"$ref": "#/components/pathItems/x"}, "/y": {"$ref": "#/paths/~1y"}},
        "components": {
            "pathItems": {"x": {"get": {"parameters": [{"$ref": "#/components/parameters/p%20q"}]}}},
            "parameters": {"p q": {"name": "p", "in": "query"}},
        },
    }
    assert find_name(document, "GET", "/x") == "p"
    assert find_name(document, "GET", "/y") is None


def test_other_methods_of_openapi_3_2_keep_their_capitals() -> None:
    document = {"openapi": "3.2.0", "paths": {"/x": {"additionalOperations": {"COPY": {}, "Link": {}}, "query": {}}}}
    found = [ServiceDocument(document).find_operation(method, "/x") for method in ("COPY", "Link", "QUERY", "LINK")]
    assert [operation.method if operation else None for operation in found] == ["COPY", "Link", "QUERY", None]


@pytest.mark.parametrize(
    "document", [{"paths": 3}, {"paths": {"/x": 3}}, {"paths": {"/x": {"get": 3, "parameters": {}}}}]
)
def test_an_invalid_document_has_no_operations(document: dict[str, Any]) -> None:
    assert ServiceDocument(document).find_operation("GET", "/x") is None


def test_what_a_document_names_wrongly_is_not_found() -> None:
    operation = {"operationId": ["a"], "responses": {"200": {"links": {"a": {"operationId": "a"}, "b": {}}}}}
    document = ServiceDocument(
        {"paths": {"/x": {"get": operation, "put": {"$ref": "#/tags/" + "9" * 5000}}}, "tags": [{}]}
    )
    assert document.list_links() == []


def test_a_page_is_not_a_document() -> None:
    with pytest.raises(WrapperError, match="HTML"):
        read_service_document(b"<html></html>")
    assert read_service_document(b"openapi: 3.0.0\npaths: {/x: {get: {}}}").find_operation("GET", "/x") is not None


def test_links_say_where_a_parameter_comes_from() -> None:
    links = {
        "read": {
            "operationId": "readItem",
            "parameters": {"path.id": "$response.body#/data/id", "tag": "$request.query.tag"},
        },
        "remove": {
            "operationRef": "#/paths/~1items~1{id}/delete",
            "parameters": {"id": "$response.body#/data/id", "n": 1},
        },
    }
    document = {
        "openapi": "3.1.0",
        "paths": {
            "/items": {"post": {"responses": {"201": {"links": links}}}},
            "/items/{id}": {"get": {"operationId": "readItem"}, "delete": {}},
        },
    }  # fmt: skip
    routes = [
        Route(path=path, method=method, target_path=f"/v1{path}")
        for path, method in (("/items", "POST"), ("/items/{id}", "GET"), ("/items/{id}", "DELETE"))
    ]
    cords = plan_cords(routes, PORT, expose=["parameters"]).cords
    source = StorySource(parameter="id", source="POST /items", pointer="/data/id")
    tag = StorySource(parameter="tag", source="POST /items", field="tag")
    found = DirectClient(documents={PORT: ServiceDocument(document)}).find_links(cords)
    assert sorted(found.values(), key=len) == [(source,), (source, tag)]


def test_a_specification_in_several_files_is_read_as_one() -> None:
    files = {
        "/docs/paths/x.yaml": b"get: {parameters: [{$ref: '../shared.json#/p'}, {$ref: '#/q'}]}\nq: {name: q, in: query}",
        "/docs/shared.json": b'{"p": {"$ref": "#/real"}, "real": {"name": "p", "in": "query", "schema": {"$ref": "api.json#/n"}}}',
    }
    root = b'{"openapi": "3.1.0", "paths": {"/x": {"$ref": "paths/x.yaml"}}, "n": {"const": 5}}'
    document = read_service_document(root, location="/docs/api.json", read_file=files.get)
    operation = document.find_operation("GET", "/x")
    assert operation is not None
    assert [(each.name, operation.nodes.resolve(each.schema).get("const")) for each in operation.parameters] == [
        ("p", 5),
        ("q", None),
    ]


def test_files_of_other_hosts_are_not_read() -> None:
    read: list[str] = []
    root = b'{"openapi": "3.1.0", "paths": {"/x": {"$ref": "http://elsewhere/x"}, "/y": {"$ref": "//e/y"}}}'
    document = read_service_document(root, read_file=lambda path: read.append(path))
    assert document.find_operation("GET", "/x") is None
    assert read == []


def test_of_several_documents_the_one_that_fits_best_is_used() -> None:
    def build(path: str, name: str) -> ServiceDocument:
        parameter = {"name": name, "in": "query", "schema": {"type": "string"}}
        return ServiceDocument({"openapi": "3.1.0", "paths": {path: {"get": {"parameters": [parameter]}}}})

    documents = ServiceDocuments([build("/say", "a"), build("/api/say", "b"), build("/other", "c")])
    found = {path: documents.find_operation("GET", path) for path in ("/say", "/api/say", "/other", "/none")}
    names = {path: operation and operation.parameters[0].name for path, operation in found.items()}
    assert names == {"/say": "a", "/api/say": "b", "/other": "c", "/none": None}
