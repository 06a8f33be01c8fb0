"""Convert schemas of routes into valid schemas of one OpenAPI 3.1 document, with ``components``. Pure.

Schemas of specifications may be invalid. Keywords that JSON Schema 2020-12 does not allow are removed: the result is
less specific, but never wrong.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from chutes_wrappers.host.discovery.schemas import LIST_KEYWORDS, MAP_KEYWORDS, SCHEMA_KEYWORDS

COMPONENTS_PREFIX = "#/components/schemas/"
_DEFINITIONS_PREFIX = "#/$defs/"

_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})


class Components:
    """The definitions of all schemas added so far, without duplicates. ``schemas`` belongs under ``components``."""

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {}
        self._names: dict[tuple[str, str], str] = {}

    def add_schema(self, schema: Mapping[str, Any]) -> Any:
        """Return ``schema`` in the form of the document; its ``$defs`` are added to the components."""
        definitions = schema.get("$defs")
        definitions = definitions if isinstance(definitions, Mapping) else {}
        component_names: dict[str, str] = {}
        new_names = [name for name in sorted(definitions) if self._add_definition(name, definitions, component_names)]
        for name in new_names:
            self.schemas[component_names[name]] = _convert_schema(definitions[name], component_names)
        return _convert_schema(schema, component_names)

    def _add_definition(self, name: str, definitions: Mapping[str, Any], component_names: dict[str, str]) -> bool:
        """Find the component of a definition, or reserve a name for it. Return whether it is new."""
        reachable = _find_reachable(name, definitions)
        fingerprint = json.dumps(
            {definition_name: definitions[definition_name] for definition_name in reachable}, sort_keys=True
        )
        is_known = (name, fingerprint) in self._names
        if not is_known:
            self._names[name, fingerprint] = self._find_free_name(name)
            self.schemas[self._names[name, fingerprint]] = {}
        component_names[name] = self._names[name, fingerprint]
        return not is_known

    def _find_free_name(self, name: str) -> str:
        base_name = re.sub(r"[^A-Za-z0-9._-]+", "_", name) or "schema"
        number, candidate = 1, base_name
        while candidate in self.schemas:
            number += 1
            candidate = f"{base_name}_{number}"
        return candidate


def _find_reachable(name: str, definitions: Mapping[str, Any]) -> list[str]:
    """Return the definitions that a definition refers to, directly or not, and itself."""
    reachable, pending = {name}, [name]
    while pending:
        for reference in _iterate_references(definitions[pending.pop()]):
            target = reference.removeprefix(_DEFINITIONS_PREFIX)
            if target in definitions and target not in reachable:
                reachable.add(target)
                pending.append(target)
    return sorted(reachable)


def _iterate_references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from _iterate_references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _iterate_references(child)


def _convert_schema(schema: Any, component_names: Mapping[str, str]) -> Any:
    if not isinstance(schema, Mapping):
        return schema if isinstance(schema, bool) else {}
    result: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword == "$ref" and isinstance(value, str) and value.removeprefix(_DEFINITIONS_PREFIX) in component_names:
            result[keyword] = COMPONENTS_PREFIX + component_names[value.removeprefix(_DEFINITIONS_PREFIX)]
        elif keyword in MAP_KEYWORDS and isinstance(value, Mapping):
            result[keyword] = {
                key: _convert_schema(child, component_names)
                for key, child in value.items()
                if keyword != "patternProperties" or _is_pattern(key)
            }
        elif keyword in LIST_KEYWORDS and isinstance(value, list) and value:
            result[keyword] = [_convert_schema(child, component_names) for child in value]
        elif keyword == "items" and isinstance(value, list):  # the form before JSON Schema 2020-12
            result |= {"prefixItems": [_convert_schema(child, component_names) for child in value]} if value else {}
        elif keyword in SCHEMA_KEYWORDS and isinstance(value, (Mapping, bool)):
            result[keyword] = _convert_schema(value, component_names)
        elif keyword in _VALUE_CHECKS and _VALUE_CHECKS[keyword](value):
            result[keyword] = value
    return _clean_up(result)


def _clean_up(schema: dict[str, Any]) -> dict[str, Any]:
    if "default" in schema and not _is_valid_value(schema["default"], schema):
        del schema["default"]
    if "required" in schema:
        names = list(dict.fromkeys(name for name in schema.pop("required") if isinstance(name, str)))
        # Next to allOf, validators do not find names that the target of a reference declares.
        schema |= {"allOf": [*schema["allOf"], {"required": names}]} if "allOf" in schema else {"required": names}
    return schema


def _is_valid_value(value: Any, schema: dict[str, Any] | bool) -> bool:
    """Return whether ``schema`` certainly allows ``value``; False for keywords that are not checked here."""
    if isinstance(schema, bool):
        return schema
    if not set(schema) <= _CHECKED_KEYWORDS:
        return False
    types = schema.get("type", [])
    if types and not any(_has_type(value, type_name) for type_name in ([types] if isinstance(types, str) else types)):
        return False
    if "enum" in schema and not any(
        value == allowed_value and type(value) is type(allowed_value) for allowed_value in schema["enum"]
    ):
        return False
    if not any(_is_valid_value(value, child) for child in schema.get("anyOf", [True])):
        return False
    if isinstance(value, list):
        return all(_is_valid_value(item, schema.get("items", True)) for item in value)
    if isinstance(value, str):
        return _is_between(len(value), schema.get("minLength"), schema.get("maxLength"))
    if _is_number(value):
        return _is_between(value, schema.get("minimum"), schema.get("maximum"))
    return not value or not isinstance(value, Mapping)


def _is_between(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or low <= value) and (high is None or value <= high)


def _has_type(value: Any, type_name: str) -> bool:
    if type_name in ("number", "integer"):
        return _is_number(value) and (type_name == "number" or value == int(value))
    python_types: dict[str, Any] = {
        "object": Mapping,
        "array": list,
        "string": str,
        "boolean": bool,
        "null": type(None),
    }
    return isinstance(value, python_types[type_name])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_pattern(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about patterns with another meaning in a later Python
            re.compile(value)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _is_type(value: Any) -> bool:
    type_names = [value] if isinstance(value, str) else value
    return (
        isinstance(type_names, list)
        and bool(type_names)
        and all(isinstance(type_name, str) and type_name in _TYPES for type_name in type_names)
        and len(set(type_names)) == len(type_names)
    )


_VALUE_CHECKS: dict[str, Callable[[Any], bool]] = {
    "type": _is_type,
    "pattern": _is_pattern,
    "multipleOf": lambda value: _is_number(value) and value > 0,
    **dict.fromkeys(("const", "default", "example"), lambda value: True),
    **dict.fromkeys(("enum", "examples", "required"), lambda value: isinstance(value, list)),
    **dict.fromkeys(
        ("title", "description", "format", "contentEncoding", "contentMediaType"), lambda value: isinstance(value, str)
    ),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _is_number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _is_count),
    **dict.fromkeys(("uniqueItems", "deprecated", "readOnly", "writeOnly"), lambda value: isinstance(value, bool)),
}
_CHECKED_KEYWORDS = frozenset({
    "type", "enum", "anyOf", "items", "minLength", "maxLength", "minimum", "maximum", "default", "title", "description",
    "example", "examples", "deprecated", "readOnly", "writeOnly",
})  # fmt: skip
