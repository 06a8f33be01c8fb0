from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.discovery.references import lookup, resolve

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
    assert lookup(DOCUMENT, reference) == value


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
def test_a_reference_that_leads_nowhere_is_named(reference: Any, what: str) -> None:
    with pytest.raises(WrapperError, match=what):
        lookup(DOCUMENT, reference)


def test_what_stands_beside_a_reference_wins() -> None:
    assert resolve(DOCUMENT, {"$ref": "#/chain", "tags": []}, "x") == {"summary": "near", "get": {}, "tags": []}


def test_a_circle_is_named() -> None:
    with pytest.raises(WrapperError, match="the path item is a `\\$ref` that leads back to itself"):
        resolve(DOCUMENT, {"$ref": "#/loop"}, "the path item")
