"""The shape of a JSON value: its keys and types without its values. Pure.

A shape is JSON itself: an object of shapes, a list with the shape of its first item, or the name of a type. ``REST`` in it stands
for what was too large to keep.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

REST = "…"
_MAX_DEPTH = 16
_MAX_KEYS = 200
_LONGEST_KEY = 200


def describe_shape(value: Any, depth: int = _MAX_DEPTH) -> Any:
    """Return the shape of ``value``, to ``depth`` levels and with 200 keys of each object."""
    if not isinstance(value, dict | list):
        return _name_type(value)
    if depth == 0:
        return REST
    if isinstance(value, list):
        return [describe_shape(value[0], depth - 1)] if value else []
    keys = [key for key in islice(value, _MAX_KEYS) if len(key) <= _LONGEST_KEY]
    rest = {REST: REST} if len(keys) < len(value) else {}
    return {**{key: describe_shape(value[key], depth - 1) for key in keys}, **rest}


def find_shape_differences(shape: Any, value: Any, path: str = "") -> Iterator[str]:
    """Yield what differs between ``shape`` and the shape of ``value``, as in ``words[0].start: number became string``."""
    if shape == REST:
        return
    if isinstance(shape, dict) and isinstance(value, dict):
        yield from _find_key_differences(shape, value, path)
    elif isinstance(shape, list) and isinstance(value, list):
        if shape and value:
            yield from find_shape_differences(shape[0], value[0], f"{path}[0]")
    elif _name_kind(shape) != _name_type(value):
        yield f"{path or 'the value'}: {_name_kind(shape)} became {_name_type(value)}"


def _find_key_differences(shape: dict[str, Any], value: dict[str, Any], path: str) -> Iterator[str]:
    for key, child in shape.items():
        where = f"{path}.{key}" if path else key
        if key in value:
            yield from find_shape_differences(child, value[key], where)
        elif key != REST:
            yield f"{where}: missing"
    if REST not in shape:
        yield from (f"{path}.{key}: new" if path else f"{key}: new" for key in value if key not in shape)


def _name_kind(shape: Any) -> str:
    return shape if isinstance(shape, str) else _name_type(shape)


def _name_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return {dict: "object", list: "list", str: "string", type(None): "null"}.get(type(value), type(value).__name__)
