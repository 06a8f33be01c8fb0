"""Validation with the JSON Schemas that the service publishes, so that the document is always correct."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TYPES: Mapping[str, Any] = {"object": dict, "string": str, "number": (int, float)}


class Invalid(ValueError):
    """A value does not match its schema; the message names the field."""


def validate(value: Any, schema: Mapping[str, Any], where: str = "the body") -> Any:
    """Validate ``value`` and return it with the schema's defaults; raises Invalid. Supports only the keywords used here."""
    kind = schema["type"]
    if not isinstance(value, _TYPES[kind]) or isinstance(value, bool):
        raise Invalid(f"{where} must be {'an' if kind == 'object' else 'a'} {kind}")
    if kind == "object":
        return _validate_object(value, schema, where)
    if kind == "string":
        _check_between(len(value), schema.get("minLength"), schema.get("maxLength"), f"the length of {where}")
    else:
        _check_between(value, schema.get("minimum"), schema.get("maximum"), where)
    return value


def _check_between(value: float, low: float | None, high: float | None, where: str) -> None:
    if (low is not None and value < low) or (high is not None and value > high):
        limits = [f"at least {low}" if low is not None else "", f"at most {high}" if high is not None else ""]
        raise Invalid(f"{where} must be {' and '.join(filter(None, limits))}")


def _validate_object(value: dict[str, Any], schema: Mapping[str, Any], where: str) -> dict[str, Any]:
    properties = schema["properties"]
    unknown = sorted(value.keys() - properties.keys())
    if unknown:
        raise Invalid(f"{where} has unknown fields: {', '.join(unknown)}")
    missing = [name for name in schema.get("required", ()) if name not in value]
    if missing:
        raise Invalid(f"{where} lacks {', '.join(missing)}")
    defaults = {name: field["default"] for name, field in properties.items() if "default" in field}
    return defaults | {name: validate(field, properties[name], name) for name, field in value.items()}
