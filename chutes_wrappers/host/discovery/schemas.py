"""A schema of a specification → JSON Schema that stands alone: only what it reaches, under local ``$defs``. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.discovery.references import lookup

LARGEST_SCHEMA_BYTES = 64 * 1024
_DEEPEST = 60
_LONGEST_CHAIN = 32

_MAPS = frozenset({"properties", "patternProperties", "dependentSchemas"})
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_ONES = frozenset({
    "items", "additionalItems", "additionalProperties", "unevaluatedItems", "unevaluatedProperties", "contains",
    "propertyNames", "contentSchema", "not", "if", "then", "else",
})  # fmt: skip
# Of no meaning outside the document, or moved to the copy's own ``$defs``.
_LEFT_OUT = frozenset({
    "$defs", "definitions", "$id", "$schema", "$anchor", "$dynamicAnchor", "$vocabulary", "discriminator", "xml",
    "externalDocs",
})  # fmt: skip


def self_contained(document: Mapping[str, Any], schema: Any, *, dialect_30: bool) -> dict[str, Any]:
    """A copy of ``schema`` without references to ``document``; WrapperError says why there is none.

    ``dialect_30``: translate what Swagger 2.0 and OpenAPI 3.0 write differently from JSON Schema.
    """
    copy = _Copy(document, dialect_30)
    result = copy.schema(_without_outer_references(document, schema), 0)
    if not isinstance(result, dict):
        raise WrapperError("the schema allows or forbids everything")
    definitions: dict[str, Any] = {}
    while copy.pending:
        name, reference = copy.pending.pop()
        definitions[name] = copy.schema(lookup(document, reference), 0)
    if definitions:
        result["$defs"] = dict(sorted(definitions.items()))
    if size(result) > LARGEST_SCHEMA_BYTES:
        raise _too_large()
    return result


def size(schema: dict[str, Any]) -> int:
    """Bytes of a schema, serialised."""
    return len(json.dumps(schema))


def _without_outer_references(document: Mapping[str, Any], schema: Any) -> Any:
    for _ in range(_LONGEST_CHAIN):
        if not isinstance(schema, Mapping) or set(schema) != {"$ref"}:
            return schema
        schema = lookup(document, schema["$ref"])
    raise WrapperError("the schema is a `$ref` that leads back to itself")


def _too_large() -> WrapperError:
    return WrapperError(f"the schema is larger than {LARGEST_SCHEMA_BYTES // 1024} KiB")


class _Copy:
    """One copying: the names given to referenced schemas, those still to be copied, and the size so far."""

    def __init__(self, document: Mapping[str, Any], dialect_30: bool) -> None:
        self.pending: list[tuple[str, str]] = []
        self._document = document
        self._dialect_30 = dialect_30
        self._names: dict[str, str] = {}
        self._taken: dict[str, int] = {}
        self._left = LARGEST_SCHEMA_BYTES

    def schema(self, schema: Any, depth: int) -> dict[str, Any] | bool:
        self._spend(depth, 2)
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, Mapping):
            raise WrapperError("a schema is not an object")
        if "$dynamicRef" in schema or "$recursiveRef" in schema:
            raise WrapperError("the schema uses dynamic references")
        if "$ref" in schema and self._dialect_30:  # whose other keys mean nothing there
            schema = {"$ref": schema["$ref"]}
        result = {}
        for keyword, value in schema.items():
            if keyword not in _LEFT_OUT and not keyword.startswith("x-"):
                self._spend(depth, len(keyword) + 4)
                result[keyword] = self._keyword(keyword, value, depth + 1)
        return _json_schema(result) if self._dialect_30 else result

    def _keyword(self, keyword: str, value: Any, depth: int) -> Any:
        if keyword == "$ref":
            return f"#/$defs/{self._name(value)}"
        if keyword in _MAPS:
            if not isinstance(value, Mapping):
                raise WrapperError(f"`{keyword}` of a schema is not an object")
            for key in value:
                self._spend(depth, len(key) + 4)
            return {key: self.schema(child, depth) for key, child in value.items()}
        if keyword in _LISTS or (keyword == "items" and isinstance(value, list)):
            if not isinstance(value, list):
                raise WrapperError(f"`{keyword}` of a schema is not a list")
            return [self.schema(child, depth) for child in value]
        return self.schema(value, depth) if keyword in _ONES else self._data(value, depth)

    def _data(self, value: Any, depth: int) -> Any:
        self._spend(depth, 1)
        if isinstance(value, Mapping):
            for key in value:
                self._spend(depth, len(key) + 4)
            return {key: self._data(child, depth + 1) for key, child in value.items()}
        if isinstance(value, list):
            return [self._data(child, depth + 1) for child in value]
        if isinstance(value, str):
            self._spend(depth, len(value))
        return value

    def _name(self, reference: Any) -> str:
        if not isinstance(reference, str) or reference not in self._names:
            lookup(self._document, reference)
            wanted = re.sub(r"[^A-Za-z0-9_.-]+", "_", reference.rsplit("/", 1)[-1])[:100] or "schema"
            name = wanted
            while name in self._taken:
                self._taken[wanted] += 1
                name = f"{wanted}_{self._taken[wanted]}"
            self._taken[name] = 1
            self._names[reference] = name
            self.pending.append((name, reference))
        return self._names[reference]

    def _spend(self, depth: int, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise _too_large()
        if depth > _DEEPEST:
            raise WrapperError("the schema is nested too deeply")


def _json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Swagger 2.0's and OpenAPI 3.0's own words in those of JSON Schema: ``nullable`` and boolean exclusive bounds."""
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        flag = schema.get(exclusive)
        if isinstance(flag, bool):
            del schema[exclusive]
            if flag and bound in schema:
                schema[exclusive] = schema.pop(bound)
    if schema.pop("nullable", False) is not True:
        return schema
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
        return schema
    return {"anyOf": [schema, {"type": "null"}]}
