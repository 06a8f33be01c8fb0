"""Another example of a call that a service refuses the second time."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.core.cord_plan import PlannedCord, plan_cords
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.parity.comparison import HttpResponse
from chutes_wrappers.host.parity.varied_calls import is_conflict, vary_example


def plan(method: str = "POST", **properties: Any) -> PlannedCord:
    schema = {"type": "object", "properties": properties}
    return plan_cords([Route(path="/items", method=method, input_schema=schema)], 8020).cords[0]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (409, b"", True),
        (400, b'{"error": "Tenant hello already exists"}', True),
        (422, b"name: must be unique", True),
        (404, b"no such item", False),
        (500, b"duplicate key", False),
    ],
)
def test_a_conflict_is_recognised(status: int, body: bytes, expected: bool) -> None:
    assert is_conflict(status, HttpResponse(status=status, body=body)) is expected


def test_free_texts_of_a_body_are_varied() -> None:
    cord = plan(name={"type": "string"}, kind={"enum": ["a"]}, day={"type": "string", "format": "date"})
    example = {"name": "hello", "kind": "a", "day": "2026-01-01", "n": 1}
    assert vary_example(cord, example, "x") == {**example, "name": "hello-x"}


def test_a_uuid_becomes_another() -> None:
    value = "1e30d217-3d78-4f8c-b244-79381dc6a254"
    varied = vary_example(plan(id={"type": "string", "format": "uuid"}), {"id": value}, "x")
    assert varied is not None
    assert varied["id"] != value
    assert len(varied["id"]) == len(value)


def test_what_cannot_be_varied_stays() -> None:
    assert vary_example(plan(kind={"enum": ["a"]}), {"kind": "a"}, "x") is None
    assert vary_example(plan("GET", name={"type": "string"}), {"name": "a"}, "x") is None
