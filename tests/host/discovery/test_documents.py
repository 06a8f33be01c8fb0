from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.discovery import documents
from chutes_wrappers.host.discovery.documents import parse_document


def parse_error(data: bytes, content_type: str = "") -> str:
    with pytest.raises(WrapperError) as caught:
        parse_document(data, content_type)
    return caught.value.what


def test_json_is_read() -> None:
    assert parse_document(b'\xef\xbb\xbf {"openapi": "3.0.0", "x": [1, 2.5, null]}') == {
        "openapi": "3.0.0",
        "x": [1, 2.5, None],
    }


def test_yaml_is_read_by_the_json_like_rules_of_yaml_1_2() -> None:
    text = b"""
openapi: 3.0.3
on: yes
when: 2020-01-01
paths: {/a: &a {get: {responses: {200: {description: 'true'}}}}, /b: *a}
numbers: [1, -2.5, 1e3, 0x1f, .inf, 1_000]
empty:
flag: true
base: &base {x: 1, y: 2}
merged: {<<: *base, y: 3}
"""
    operation = {"get": {"responses": {"200": {"description": "true"}}}}
    assert parse_document(text) == {
        "openapi": "3.0.3",
        "on": "yes",
        "when": "2020-01-01",
        "paths": {"/a": operation, "/b": operation},
        "numbers": [1, -2.5, 1000.0, "0x1f", ".inf", "1_000"],
        "empty": None,
        "flag": True,
        "base": {"x": 1, "y": 2},
        "merged": {"x": 1, "y": 3},
    }


@pytest.mark.parametrize(
    "data",
    [
        b'{"paths": {"/a": {"get": {"x": 1}, "put": {}}, "/b": {}, "/a": {"post": {}, "get": {"y": 2}}, "/a": {}}, "z": 1, "z": 2}',
        b"paths: {/a: {get: {x: 1}, put: {}}, /b: &b {}, /a: {post: {}, get: {y: 2}}, /a: *b}\nz: 1\nz: 2\n",
    ],
)
def test_a_duplicate_path_has_the_operations_of_both(data: bytes) -> None:
    document = parse_document(data)
    assert document == {"paths": {"/a": {"get": {"y": 2}, "put": {}, "post": {}}, "/b": {}}, "z": 2}
    assert list(document["paths"]) == ["/a", "/b"]


def test_of_a_duplicate_path_that_is_not_an_object_the_last_one_counts() -> None:
    assert parse_document(b'{"/a": 1, "/a": {"get": 1}, "/b": {}, "/b": [2]}') == {"/a": {"get": 1}, "/b": [2]}


def test_yaml_flow_style_is_read_when_the_content_type_is_yaml() -> None:
    assert parse_document(b"{openapi: 3.0.0, paths: {}}", "application/yaml") == {"openapi": "3.0.0", "paths": {}}


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"<!doctype html><html></html>", "is an HTML page"),
        (b"  <?xml version='1.0'?><a/>", "is XML, not a specification"),
        (b"", "is empty"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"[1, 2]", "is not a JSON or YAML object"),
        (b"OK", "is not a JSON or YAML object"),
        (b"a: 1\n---\nb: 2\n", "contains 2 YAML documents, not one"),
        (b"? [a]\n: 1\n", "has a YAML key that is not a string"),
        (b"a: &a [*a]\n", "uses the YAML alias *a before its anchor is complete"),
        (b"a: !!python/object/apply:os.system [ls]\n? {", "is neither JSON nor YAML"),
        (b'{"a": ', "is not valid JSON"),
        (b"{" * 200_000, "is not valid JSON"),
    ],
)
def test_invalid_documents_are_rejected_with_the_reason(data: bytes, what: str) -> None:
    assert what in parse_error(data)


def test_50_mebibytes_are_rejected_unread() -> None:
    assert parse_error(b" " * 50 * 1024**2) == "is larger than 48 MiB"


def test_deep_nesting_is_rejected() -> None:
    assert "nested too deeply" in parse_error(b'{"a":' * 500_000 + b"1" + b"}" * 500_000)
    assert "nested too deeply" in parse_error(b"a: " + b"[" * 5000 + b"]" * 5000)


def test_a_yaml_alias_bomb_is_rejected() -> None:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "aliases included" in parse_error("\n".join(lines).encode())


def test_large_yaml_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_YAML_BYTES", 100)
    assert "is YAML larger than" in parse_error(b"a: b\n" * 100)


@pytest.mark.parametrize(
    "text", ['{"a": NaN, "b": 1e999, "c": "\\ud800"}', '{"a": -Infinity, "b": -1e999, "c": "\\udfff"}']
)
def test_values_that_json_cannot_represent_are_replaced(text: str) -> None:
    assert parse_document(text.encode()) == {"a": None, "b": None, "c": "?"}


def test_an_emoji_is_unchanged() -> None:
    assert parse_document(b'{"a": "\\ud83d\\ude00"}') == {"a": "😀"}


@pytest.mark.parametrize("content_type", ["application/json", "application/yaml"])
def test_an_integer_that_the_sdk_cannot_write_is_a_float(content_type: str) -> None:
    text = f'{{"a": {2**64 - 1}, "b": {2**64}, "c": {-(2**63) - 1}, "d": {"1" * 400}}}'
    document = parse_document(text.encode(), content_type)
    assert document == {"a": 2**64 - 1, "b": 2.0**64, "c": -(2.0**63), "d": None}
    assert [type(value) for value in document.values()] == [int, float, float, type(None)]
    orjson.dumps(document)


def test_a_number_of_thousands_of_digits_is_read() -> None:
    assert parse_document(b'{"a": ' + b"1" * 100_000 + b"}") == {"a": None}


@given(
    st.binary(max_size=300) | st.text(alphabet="{}[]:,-&*!<>?'\"|\n #%@`a1.~\\u", max_size=80).map(str.encode),
    st.sampled_from(["", "application/yaml"]),
)
def test_any_bytes_give_a_plain_document_or_an_error(data: bytes, content_type: str) -> None:
    try:
        document = parse_document(data, content_type)
    except WrapperError:
        return
    json.dumps(document, allow_nan=False, ensure_ascii=False).encode()


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=3))
def test_json_is_parsed_unchanged(value: dict[str, Any]) -> None:
    assert parse_document(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on: 1\nno: {yes: off}", {"on": 1, "no": {"yes": "off"}}),
        ("a:\n  - =\n  - ~\n", {"a": ["=", None]}),
        ("200: {}\n1.5: x\ntrue: y\n", {"200": {}, "1.5": "x", "true": "y"}),
        ("a: 2020-01-01\nb: 12:30:45\nc: 0o17\n", {"a": "2020-01-01", "b": "12:30:45", "c": "0o17"}),
        ("a: !!binary aGk=\nb: !custom {c: 1}\n", {"a": "aGk=", "b": {"c": 1}}),
    ],
)
def test_special_values_of_yaml_1_1_stay_text(text: str, value: object) -> None:
    assert parse_document(text.encode()) == value
