"""Schemas of routes → schemas of one OpenAPI 3.1 document: valid, and with their definitions under ``components``. Pure.

Specifications lie, and so may a route's schema. What JSON Schema 2020-12 does not allow is left out here; what is left says
less, and nothing that is wrong.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

PLACE = "#/components/schemas/"
_LOCAL = "#/$defs/"

_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_MAPS = frozenset({"properties", "patternProperties", "dependentSchemas"})
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_ONES = frozenset({
    "items", "additionalProperties", "unevaluatedItems", "unevaluatedProperties", "contains", "propertyNames",
    "contentSchema", "not", "if", "then", "else",
})  # fmt: skip


class Components:
    """The definitions of all schemas taken so far, equal ones once. ``schemas`` belongs under ``components``."""

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {}
        self._names: dict[tuple[str, str], str] = {}

    def take(self, schema: Mapping[str, Any]) -> Any:
        """``schema`` as it may stand in the document; its ``$defs`` have become components."""
        definitions = schema.get("$defs")
        definitions = definitions if isinstance(definitions, Mapping) else {}
        renamed: dict[str, str] = {}
        added = [name for name in sorted(definitions) if self._add(name, definitions, renamed)]
        for name in added:
            self.schemas[renamed[name]] = _schema(definitions[name], renamed)
        return _schema(schema, renamed)

    def _add(self, name: str, definitions: Mapping[str, Any], renamed: dict[str, str]) -> bool:
        """Find the component that a definition is, or make room for it; whether it is new."""
        reached = _reached(name, definitions)
        meaning = json.dumps({each: definitions[each] for each in reached}, sort_keys=True)
        known = (name, meaning) in self._names
        if not known:
            self._names[name, meaning] = self._free_name(name)
            self.schemas[self._names[name, meaning]] = {}
        renamed[name] = self._names[name, meaning]
        return not known

    def _free_name(self, name: str) -> str:
        wanted = re.sub(r"[^A-Za-z0-9._-]+", "_", name) or "schema"
        number, free = 1, wanted
        while free in self.schemas:
            number += 1
            free = f"{wanted}_{number}"
        return free


def _reached(name: str, definitions: Mapping[str, Any]) -> list[str]:
    """The definitions that one needs, itself included."""
    found, pending = {name}, [name]
    while pending:
        for reference in _references(definitions[pending.pop()]):
            target = reference.removeprefix(_LOCAL)
            if target in definitions and target not in found:
                found.add(target)
                pending.append(target)
    return sorted(found)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)


def _schema(schema: Any, renamed: Mapping[str, str]) -> Any:
    if not isinstance(schema, Mapping):
        return schema if isinstance(schema, bool) else {}
    result: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword == "$ref" and isinstance(value, str) and value.removeprefix(_LOCAL) in renamed:
            result[keyword] = PLACE + renamed[value.removeprefix(_LOCAL)]
        elif keyword in _MAPS and isinstance(value, Mapping):
            result[keyword] = {
                key: _schema(child, renamed)
                for key, child in value.items()
                if keyword != "patternProperties" or _is_pattern(key)
            }
        elif keyword in _LISTS and isinstance(value, list) and value:
            result[keyword] = [_schema(child, renamed) for child in value]
        elif keyword == "items" and isinstance(value, list):  # as it was written before 2020
            result |= {"prefixItems": [_schema(child, renamed) for child in value]} if value else {}
        elif keyword in _ONES and isinstance(value, (Mapping, bool)):
            result[keyword] = _schema(value, renamed)
        elif keyword in _VALUES and _VALUES[keyword](value):
            result[keyword] = value
    return _tidied(result)


def _tidied(schema: dict[str, Any]) -> dict[str, Any]:
    if "default" in schema and not _fits(schema["default"], schema):
        del schema["default"]
    if "required" in schema:
        names = list(dict.fromkeys(name for name in schema.pop("required") if isinstance(name, str)))
        # Beside allOf, validators miss those that are described in what a reference leads to.
        schema |= {"allOf": [*schema["allOf"], {"required": names}]} if "allOf" in schema else {"required": names}
    return schema


def _fits(value: Any, schema: dict[str, Any] | bool) -> bool:
    """Whether ``schema`` certainly allows ``value``; False where that takes more than a look."""
    if isinstance(schema, bool):
        return schema
    if not set(schema) <= _LOOKED_AT:
        return False
    types = schema.get("type", [])
    if types and not any(_is_of(value, name) for name in ([types] if isinstance(types, str) else types)):
        return False
    if "enum" in schema and not any(value == each and type(value) is type(each) for each in schema["enum"]):
        return False
    if not any(_fits(value, child) for child in schema.get("anyOf", [True])):
        return False
    if isinstance(value, list):
        return all(_fits(item, schema.get("items", True)) for item in value)
    if isinstance(value, str):
        return _is_between(len(value), schema.get("minLength"), schema.get("maxLength"))
    if _is_number(value):
        return _is_between(value, schema.get("minimum"), schema.get("maximum"))
    return not value or not isinstance(value, Mapping)


def _is_between(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or low <= value) and (high is None or value <= high)


def _is_of(value: Any, name: str) -> bool:
    if name in ("number", "integer"):
        return _is_number(value) and (name == "number" or value == int(value))
    kinds: dict[str, Any] = {"object": Mapping, "array": list, "string": str, "boolean": bool, "null": type(None)}
    return isinstance(value, kinds[name])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_pattern(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a pattern may come to mean in a later Python
            re.compile(value)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _is_type(value: Any) -> bool:
    names = [value] if isinstance(value, str) else value
    return (
        isinstance(names, list)
        and bool(names)
        and all(isinstance(name, str) and name in _TYPES for name in names)
        and len(set(names)) == len(names)
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


_VALUES: dict[str, Callable[[Any], bool]] = {
    "type": _is_type,
    "pattern": _is_pattern,
    "multipleOf": lambda value: _is_number(value) and value > 0,
    **dict.fromkeys(("const", "default", "example"), lambda value: True),
    **dict.fromkeys(("enum", "examples", "required"), _is_list),
    **dict.fromkeys(("title", "description", "format", "contentEncoding", "contentMediaType"), _is_text),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _is_number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _is_count),
    **dict.fromkeys(("uniqueItems", "deprecated", "readOnly", "writeOnly"), _is_flag),
}
_LOOKED_AT = frozenset({
    "type", "enum", "anyOf", "items", "minLength", "maxLength", "minimum", "maximum", "default", "title", "description",
    "example", "examples", "deprecated", "readOnly", "writeOnly",
})  # fmt: skip
