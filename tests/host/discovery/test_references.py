from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.discovery.references import look_up, resolve_node

DOCUMENT: dict[str, Any] = {
    "paths": {"/a b/{c}": {"get": {"parameters": [{"name": "q"}]}}},
    "loop": {"$ref": "#/loop"},
    "chain": {"$ref": "#/end", "summary": "near"},
    "end": {"summary": "far", "get": {}},
    "tilde~key": 1,
    "a~1b": 3,
    "100%": 2,
}


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("#/paths/~1a%20b~1%7Bc%7D/get/parameters/0/name", "q"),
        ("#/paths/~1a b~1{c}/get/parameters/0/name", "q"),
        ("#/tilde~0key", 1),
        ("#/a~01b", 3),  # RFC 6901, section 4: "~1" is unescaped before "~0"
        ("#", DOCUMENT),
        ("#/paths/%2Fa%20b%2F{c}/get/parameters/0/name", "q"),
        ("#/100%25", 2),
        ("#/100%", 2),
    ],
)
def test_pointers_are_followed_percent_encoded_or_not(reference: str, value: Any) -> None:
    assert look_up(DOCUMENT, reference) == value


@pytest.mark.parametrize(
    ("reference", "what"),
    [
        (5, "is not a string"),
        ("other.yaml#/a", "points into another document"),
        ("https://example.com/a.json", "points into another document"),
        ("#anchor", "is not a JSON pointer"),
        ("#/nowhere", "does not exist"),
        ("#/paths/~1a b~1{c}/get/parameters/7", "does not exist"),
        ("#/paths/~1a b~1{c}/get/parameters/²", "does not exist"),
        ("#/tilde~0key/deeper", "does not exist"),
    ],
)
def test_an_invalid_reference_is_named_in_the_error(reference: Any, what: str) -> None:
    with pytest.raises(WrapperError, match=what):
        look_up(DOCUMENT, reference)


def test_keys_next_to_a_reference_override_the_target() -> None:
    node = {"$ref": "#/chain", "tags": []}
    assert resolve_node(DOCUMENT, node, "x") == {**node, "summary": "near", "get": {}}


def test_a_referenced_node_is_not_copied() -> None:
    assert resolve_node(DOCUMENT, {"$ref": "#/end"}, "x") is DOCUMENT["end"]


def test_a_reference_loop_is_named_in_the_error() -> None:
    with pytest.raises(WrapperError, match="the path item is a circular `\\$ref`"):
        resolve_node(DOCUMENT, {"$ref": "#/loop"}, "the path item")
