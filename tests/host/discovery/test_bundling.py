from __future__ import annotations

import copy
from typing import Any
from urllib.parse import urljoin

import pytest

from chutes_wrappers.host.discovery import bundling
from chutes_wrappers.host.discovery.bundling import FILES, bundle
from chutes_wrappers.host.discovery.references import lookup
from chutes_wrappers.host.discovery.specification import read_operations

ROOT = "http://127.0.0.1:8020"
FILES_HERE: dict[str, Any] = {
    "/api/schemas/pets%20and~more.json": {
        "Pet": {"type": "object", "properties": {"owner": {"$ref": "people.json#/Person"}, "next": {"$ref": "#/Pet"}}}
    },
    "/api/schemas/people.json": {
        "Person": {"properties": {"pet": {"$ref": "../openapi.json#/components/schemas/Own"}}}
    },
    "/api/paths.json": {"get": {"summary": "From a file."}},
}


async def bundled(document: dict[str, Any], files: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    read: list[str] = []

    def path_of(base: str, url: str) -> str | None:
        target = urljoin(ROOT + base, url)
        return target.removeprefix(ROOT) if target.startswith(ROOT) else None

    async def read_file(path: str) -> Any:
        read.append(path)
        return copy.deepcopy(files.get(path))

    await bundle(document, "/api/openapi.json", path_of=path_of, read=read_file)
    return document, read


async def test_files_beside_the_specification_become_parts_of_it() -> None:
    document, read = await bundled(
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
        FILES_HERE,
    )
    assert sorted(read) == sorted(FILES_HERE)
    operations = read_operations(document, port=1, prefix="", location="/api/openapi.json")
    assert (operations.notes, operations.skipped) == ((), ())
    get, post = operations.routes
    assert get.summary == "From a file."
    assert post.input_schema is not None
    assert post.input_schema["$defs"]["Own"] == {"type": "string"}
    assert post.input_schema["$defs"]["Pet"]["properties"]["next"] == {"$ref": "#/$defs/Pet"}


async def test_what_is_elsewhere_or_missing_stays_a_reference() -> None:
    references = ["https://example.com/a.json#/A", "missing.json#/A", "#/own", 5]
    before = {"list": [{"$ref": reference} for reference in references]}
    document, read = await bundled(copy.deepcopy(before), {})
    assert document["list"] == before["list"]
    assert read == ["/api/missing.json"]


async def test_a_file_that_is_named_twice_is_read_once_and_an_alias_is_pointed_once() -> None:
    shared = {"$ref": "#/B"}
    files = {"/api/f.json": {"A": shared, "B": {"type": "string"}, "C": shared}}
    document, read = await bundled({"a": {"$ref": "f.json#/A"}, "b": {"$ref": "./f.json#/C"}}, files)
    assert read == ["/api/f.json"]
    assert lookup(document, lookup(document, document["b"]["$ref"])["$ref"]) == {"type": "string"}


async def test_files_without_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundling, "MOST_FILES", 3)
    files = {f"/api/{number}.json": {"$ref": f"{number + 1}.json"} for number in range(9)}
    document, read = await bundled({"$ref": "0.json"}, files)
    assert read == ["/api/0.json", "/api/1.json", "/api/2.json"]
    assert len(document[FILES]) == 3
