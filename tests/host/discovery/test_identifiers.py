"""References by ``$id`` and ``$anchor`` become JSON pointers."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from chutes_wrappers.host.discovery.identifiers import replace_names
from chutes_wrappers.host.discovery.references import look_up

SCHEMAS: dict[str, Any] = {
    "a": {"$id": "https://api.example/a", "$defs": {"x": {"$anchor": "name", "type": "integer"}}},
    "b/c": {"$id": "b", "$defs": {"x": {"type": "string"}}},
    "d": {"$dynamicAnchor": "d", "type": "array"},
}


def resolve(reference: str, at: str | None = None, **document: Any) -> Any:
    """Return the target of a reference in the document, or in one of its schemas; None if it stays as it is."""
    schemas = copy.deepcopy(SCHEMAS)
    node = schemas[at].setdefault("not", {}) if at else schemas.setdefault("e", {})
    node["$ref"] = reference
    whole = {"components": {"schemas": schemas}, **document}
    replace_names(whole, "/docs/openapi.json")
    return None if node["$ref"] == reference else look_up(whole, node["$ref"])


@pytest.mark.parametrize(
    ("reference", "at", "found"),
    [
        ("https://api.example/a#name", None, "integer"),
        ("https://api.example/a#/$defs/x", None, "integer"),
        ("#name", "a", "integer"),
        ("#/$defs/x", "a", "integer"),
        ("b#/$defs/x", None, "string"),
        ("/docs/b#/$defs/x", None, "string"),
        ("#d", None, "array"),
    ],
)
def test_a_name_is_found(reference: str, at: str | None, found: str) -> None:
    assert resolve(reference, at)["type"] == found


@pytest.mark.parametrize(
    ("reference", "at"),
    [
        ("#name", None),  # of another schema resource
        ("#/components/schemas/d", None),
        ("#/components/schemas/d", "a"),  # not in the resource, but in the document
        ("https://api.example/a#/$defs/none", None),
        ("other.yaml#/x", None),
        ("http://[", None),
    ],
)
def test_other_references_stay(reference: str, at: str | None) -> None:
    assert resolve(reference, at) is None


def test_the_documents_own_url_is_the_base() -> None:
    assert (
        resolve("https://own.example/v1/b#/$defs/x", **{"$self": "https://own.example/v1/api.json"})["type"] == "string"
    )


def test_a_document_without_names_is_left_alone() -> None:
    document: dict[str, Any] = {"a": {"$ref": "#x"}, "b": [{"$ref": "c"}]}
    replace_names(document, "/", lambda: pytest.fail("there is nothing to replace"))
    assert document == {"a": {"$ref": "#x"}, "b": [{"$ref": "c"}]}
