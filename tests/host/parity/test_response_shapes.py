from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.host.parity.response_shapes import REST, describe_shape, find_shape_differences


def test_a_shape_has_keys_and_types_and_no_value() -> None:
    value = {"text": "secret", "n": 4.5, "on": True, "none": None, "words": [{"at": 1}, {"at": 2}], "empty": []}
    assert describe_shape(value) == {
        "text": "string",
        "n": "number",
        "on": "boolean",
        "none": "null",
        "words": [{"at": "number"}],
        "empty": [],
    }


@pytest.mark.parametrize(
    ("recorded", "value", "differences"),
    [
        ({"a": 1}, {"a": 2.5}, []),
        ({"a": [1, 2]}, {"a": []}, []),
        ({"a": []}, {"a": ["x"]}, []),
        ("x", "y", []),
        ({"a": 1}, {"a": "1"}, ["a: number became string"]),
        ({"a": [{"b": 1}]}, {"a": [{"b": None}]}, ["a[0].b: number became null"]),
        ({"a": 1, "b": {"c": 1}}, {"b": {"d": 1}}, ["a: missing", "b.c: missing", "b.d: new"]),
        ({"a": 1}, [], ["the value: object became list"]),
        ({"on": True}, {"on": 1}, ["on: boolean became number"]),
        ([1], "x", ["the value: list became string"]),
    ],
)
def test_differences_are_named_by_their_path(recorded: Any, value: Any, differences: list[str]) -> None:
    assert list(find_shape_differences(describe_shape(recorded), value)) == differences


def test_a_large_shape_is_cut_and_what_was_cut_is_not_compared() -> None:
    deep: Any = {"end": 1}
    for _ in range(40):
        deep = {"a": deep}
    wide = {f"key{number}": number for number in range(300)}
    shape = describe_shape(wide)
    assert len(shape) == 201
    assert list(find_shape_differences(describe_shape(deep), deep)) == []
    assert list(find_shape_differences(shape, {**wide, "other": 1})) == []
    assert describe_shape({"k" * 1000: 1}) == {REST: REST}
