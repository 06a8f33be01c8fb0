from __future__ import annotations

import copy
from typing import Any
from urllib.parse import urljoin

import pytest

from chutes_wrappers.host.discovery import bundling
from chutes_wrappers.host.discovery.bundling import FILES_KEY, bundle
from chutes_wrappers.host.discovery.references import look_up
from chutes_wrappers.host.discovery.specification import read_operations

ROOT = "http://127.0.0.1:8020"
FILES: dict[str, Any] = {
    "/api/schemas/pets%20and~more.json": {
        "Pet": {"type": "object", "properties": {"owner": {"$ref": "people.json#/Person"}, "next": {"$ref": "#/Pet"}}}
    },
    "/api/schemas/people.json": {
        "Person": {"properties": {"pet": {"$ref": "../openapi.json#/components/schemas/Own"}}}
    },
    "/api/paths.json": {"get": {"summary": "From a file."}},
}


async def bundle_files(document: dict[str, Any], files: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    read_paths: list[str] = []

    def resolve_path(base: str, url: str) -> str | None:
        target_url = urljoin(ROOT + base, url)
        return target_url.removeprefix(ROOT) if target_url.startswith(ROOT) else None

    async def read_file(path: str) -> Any:
        read_paths.append(path)
        return copy.deepcopy(files.get(path))

    await bundle(document, "/api/openapi.json", resolve_path=resolve_path, read_file=read_file)
    return document, read_paths


async def test_referenced_files_are_bundled_into_the_document() -> None:
    document, read = await bundle_files(
        {
            "openapi": "3.1.0",
            "paths": {
                "/pets": {
                    "$ref": "paths.json",
                    "post": {
                        "requestBody": {
                            "content": {"application/json": {"schema": {"$ref": "schemas/pets%20and~more.json#/Pet"}}}
                        }
                    },
                }
            },
            "components": {"schemas": {"Own": {"type": "string"}}},
        },
        FILES,
    )
    assert sorted(read) == sorted(FILES)
    operations = read_operations(document, port=1, prefix="", location="/api/openapi.json")
    assert (operations.notes, operations.skipped) == ((), ())
    get, post = operations.routes
    assert get.summary == "From a file."
    assert post.input_schema is not None
    assert post.input_schema["$defs"]["Own"] == {"type": "string"}
    assert post.input_schema["$defs"]["Pet"]["properties"]["next"] == {"$ref": "#/$defs/Pet"}


async def test_external_and_missing_references_stay_unchanged() -> None:
    references = ["https://example.com/a.json#/A", "missing.json#/A", "#/own", 5]
    before = {"list": [{"$ref": reference} for reference in references]}
    document, read = await bundle_files(copy.deepcopy(before), {})
    assert document["list"] == before["list"]
    assert read == ["/api/missing.json"]


async def test_a_file_referenced_twice_is_read_once_and_a_shared_node_is_rewritten_once() -> None:
    shared = {"$ref": "#/B"}
    files = {"/api/f.json": {"A": shared, "B": {"type": "string"}, "C": shared}}
    document, read = await bundle_files({"a": {"$ref": "f.json#/A"}, "b": {"$ref": "./f.json#/C"}}, files)
    assert read == ["/api/f.json"]
    assert look_up(document, look_up(document, document["b"]["$ref"])["$ref"]) == {"type": "string"}


async def test_the_number_of_bundled_files_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundling, "MAX_FILES", 3)
    files = {f"/api/{number}.json": {"$ref": f"{number + 1}.json"} for number in range(9)}
    document, read = await bundle_files({"$ref": "0.json"}, files)
    assert read == ["/api/0.json", "/api/1.json", "/api/2.json"]
    assert len(document[FILES_KEY]) == 3


async def test_references_by_the_documents_own_url_are_into_itself() -> None:
    own_url = "https://api.example.com/spec/openapi.yaml"
    files = {"/api/shared.json": {"A": {"$ref": f"{own_url}#/B"}}}
    document, read = await bundle_files(
        {
            "$self": own_url,
            "B": {"type": "string"},
            "list": [
                {"$ref": f"{own_url}#/B"},
                {"$ref": "openapi.yaml#/B"},
                {"$ref": "https://api.example.com/spec/shared.json#/A"},
                {"$ref": "https://api.example.com/other.json#/A"},
            ],
        },
        files,
    )
    assert read == ["/api/shared.json"]
    own, same, shared, other = document["list"]
    assert (own["$ref"], same["$ref"]) == ("#/B", "#/B")
    assert look_up(document, look_up(document, shared["$ref"])["$ref"]) == {"type": "string"}
    assert other["$ref"] == "https://api.example.com/other.json#/A"
