"""Numbers and texts within the bounds of a schema."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.host.parity.scalar_examples import build_number, build_text, is_allowed

LIMITS = st.integers(-50, 50) | st.floats(-50, 50, allow_nan=False).map(lambda number: round(number, 3))


@given(low=LIMITS, span=st.floats(0.01, 20).map(lambda number: round(number, 2)), exclusive=st.booleans())
def test_a_number_is_within_its_limits(low: float, span: float, exclusive: bool) -> None:
    names = ("exclusiveMinimum", "exclusiveMaximum") if exclusive else ("minimum", "maximum")
    schema = dict(zip(names, (low, low + span), strict=True))
    number = build_number(schema, is_whole=False)
    jsonschema.validate(number, schema)
    assert is_allowed(number, {"type": "number", **schema})


@pytest.mark.parametrize(
    ("schema", "whole", "expected"),
    [
        ({}, True, 1),
        ({"minimum": 3.2}, True, 4),
        ({"maximum": 0}, True, 0),
        ({"exclusiveMaximum": 1}, True, 0),
        ({"maximum": 5, "exclusiveMaximum": True, "minimum": 4}, True, 4),
        ({"minimum": 4, "exclusiveMinimum": True}, True, 5),
        ({"minimum": 4, "exclusiveMinimum": 4}, True, 5),
        ({"multipleOf": 0.01, "minimum": 0.075}, False, 0.08),
        ({"multipleOf": 0.5}, True, 1),
        ({"minimum": 10**400}, False, 1),
        ({"minimum": "3", "multipleOf": 0}, True, 1),
    ],
)
def test_a_number_for_its_bounds(schema: dict[str, Any], whole: bool, expected: float) -> None:
    number = build_number(schema, is_whole=whole)
    assert number == expected
    assert isinstance(number, int) or not whole


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"pattern": "^[A-Z]{3}$"}, "AAA"),
        ({"pattern": "^[A-Z]{3}$", "format": "currency"}, "AAA"),
        ({"pattern": "^.+@.+$", "format": "email"}, "someone@example.org"),
        ({"pattern": "["}, "hello"),
        ({"format": "date"}, "2026-01-01"),
        ({"maxLength": 2}, "he"),
        ({"minLength": 7}, "hellohe"),
    ],
)
def test_a_text_for_its_pattern_format_and_length(schema: dict[str, Any], expected: str) -> None:
    assert build_text(schema) == expected


@pytest.mark.parametrize(
    ("value", "schema", "expected"),
    [
        (None, {"type": "string"}, False),
        (None, {"type": "string", "nullable": True}, True),
        (None, {"type": ["string", "null"]}, True),
        (1.0, {"type": "integer"}, True),
        (True, {"type": "integer"}, False),
        ("1", {"type": "integer"}, False),
        (7, {"multipleOf": 2}, False),
        ("b", {"enum": ["a"]}, False),
        ("a", {"const": "a", "pattern": "^b"}, False),
        ({}, {"type": "object"}, True),
        ("2026-01-01T00:00:00Z", {"format": "date"}, False),
        ("2026-01-01T00:00:00.5", {"format": "date-time"}, True),
        ("2026-01-01", {"format": "date-time"}, False),
        ("x1s2c932-2f70-3ds3-a3b5-2sfd46b12a18d", {"format": "uuid"}, False),
        ("F81D4FAE7DEC11D0A76500A0C91E6BF6", {"format": "uuid"}, True),
        ("example.org", {"format": "uri"}, False),
        ("anything", {"format": "of a vendor"}, True),
    ],
)
def test_whether_a_schema_allows_a_value(value: Any, schema: dict[str, Any], expected: bool) -> None:
    assert is_allowed(value, schema) is expected
