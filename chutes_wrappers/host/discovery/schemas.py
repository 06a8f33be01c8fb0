"""Copy a schema of a specification into self-contained JSON Schema, with reachable definitions in ``$defs``. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.discovery.references import look_up

MAX_SCHEMA_BYTES = 64 * 1024
_MAX_DEPTH = 60
_MAX_CHAIN_LENGTH = 32

# Keywords of JSON Schema 2020-12 whose values are maps of schemas, lists of schemas, or one schema.
MAP_KEYWORDS = frozenset({"properties", "patternProperties", "dependentSchemas"})
LIST_KEYWORDS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
SCHEMA_KEYWORDS = frozenset({
    "items", "additionalProperties", "unevaluatedItems", "unevaluatedProperties", "contains", "propertyNames",
    "contentSchema", "not", "if", "then", "else",
})  # fmt: skip
_OLDER_SCHEMA_KEYWORDS = frozenset({"additionalItems"})
# Without meaning outside the document, or moved to ``$defs`` of the copy.
_EXCLUDED_KEYWORDS = frozenset({
    "$defs", "definitions", "$id", "$schema", "$anchor", "$dynamicAnchor", "$vocabulary", "discriminator", "xml",
    "externalDocs",
})  # fmt: skip


def make_self_contained(document: Mapping[str, Any], schema: Any, *, dialect_30: bool) -> dict[str, Any]:
    """Return a copy of ``schema`` without references to ``document``.

    ``dialect_30``: translate the keywords in which Swagger 2.0 and OpenAPI 3.0 differ from JSON Schema. Raises
    WrapperError for a schema that is invalid, too large or nested too deeply.
    """
    copier = _SchemaCopier(document, dialect_30)
    result = copier.copy_schema(_resolve_outer_references(document, schema), 0)
    if not isinstance(result, dict):
        raise WrapperError("the schema allows or forbids everything")
    definitions: dict[str, Any] = {}
    while copier.pending:
        name, reference = copier.pending.pop()
        definitions[name] = copier.copy_schema(look_up(document, reference), 0)
    if definitions:
        result["$defs"] = dict(sorted(definitions.items()))
    if measure_size(result) > MAX_SCHEMA_BYTES:
        raise _build_size_error()
    return result


def measure_size(schema: dict[str, Any]) -> int:
    """Return the length of a schema as JSON."""
    return len(json.dumps(schema))


def _resolve_outer_references(document: Mapping[str, Any], schema: Any) -> Any:
    for _ in range(_MAX_CHAIN_LENGTH):
        if not isinstance(schema, Mapping) or set(schema) != {"$ref"}:
            return schema
        schema = look_up(document, schema["$ref"])
    raise WrapperError("the schema is a circular `$ref`")


def _build_size_error() -> WrapperError:
    return WrapperError(f"the schema is larger than {MAX_SCHEMA_BYTES // 1024} KiB")


class _SchemaCopier:
    """The state of one copy: names of referenced schemas, schemas that are pending, and the remaining size."""

    def __init__(self, document: Mapping[str, Any], dialect_30: bool) -> None:
        self.pending: list[tuple[str, str]] = []
        self._document = document
        self._dialect_30 = dialect_30
        self._names: dict[str, str] = {}
        self._name_counts: dict[str, int] = {}
        self._bytes_left = MAX_SCHEMA_BYTES

    def copy_schema(self, schema: Any, depth: int) -> dict[str, Any] | bool:
        self._consume_budget(depth, 2)
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, Mapping):
            raise WrapperError("a schema is not an object")
        if "$dynamicRef" in schema or "$recursiveRef" in schema:
            raise WrapperError("the schema uses dynamic references")
        if "$ref" in schema and self._dialect_30:  # OpenAPI 3.0 ignores keys next to `$ref`
            schema = {"$ref": schema["$ref"]}
        result = {}
        for keyword, value in schema.items():
            if keyword not in _EXCLUDED_KEYWORDS and not keyword.startswith("x-"):
                self._consume_budget(depth, len(keyword) + 4)
                result[keyword] = self._copy_keyword(keyword, value, depth + 1)
        return _translate_to_json_schema(result) if self._dialect_30 else result

    def _copy_keyword(self, keyword: str, value: Any, depth: int) -> Any:
        if keyword == "$ref":
            return f"#/$defs/{self._assign_name(value)}"
        if keyword in MAP_KEYWORDS:
            if not isinstance(value, Mapping):
                raise WrapperError(f"`{keyword}` of a schema is not an object")
            for key in value:
                self._consume_budget(depth, len(key) + 4)
            return {key: self.copy_schema(child, depth) for key, child in value.items()}
        if keyword in LIST_KEYWORDS or (keyword == "items" and isinstance(value, list)):
            if not isinstance(value, list):
                raise WrapperError(f"`{keyword}` of a schema is not a list")
            return [self.copy_schema(child, depth) for child in value]
        if keyword in SCHEMA_KEYWORDS | _OLDER_SCHEMA_KEYWORDS:
            return self.copy_schema(value, depth)
        return self._copy_data(value, depth)

    def _copy_data(self, value: Any, depth: int) -> Any:
        self._consume_budget(depth, 1)
        if isinstance(value, Mapping):
            for key in value:
                self._consume_budget(depth, len(key) + 4)
            return {key: self._copy_data(child, depth + 1) for key, child in value.items()}
        if isinstance(value, list):
            return [self._copy_data(child, depth + 1) for child in value]
        if isinstance(value, str):
            self._consume_budget(depth, len(value))
        return value

    def _assign_name(self, reference: Any) -> str:
        if not isinstance(reference, str) or reference not in self._names:
            look_up(self._document, reference)
            base_name = re.sub(r"[^A-Za-z0-9_.-]+", "_", reference.rsplit("/", 1)[-1])[:100] or "schema"
            name = base_name
            while name in self._name_counts:
                self._name_counts[base_name] += 1
                name = f"{base_name}_{self._name_counts[base_name]}"
            self._name_counts[name] = 1
            self._names[reference] = name
            self.pending.append((name, reference))
        return self._names[reference]

    def _consume_budget(self, depth: int, byte_count: int) -> None:
        self._bytes_left -= byte_count
        if self._bytes_left < 0:
            raise _build_size_error()
        if depth > _MAX_DEPTH:
            raise WrapperError("the schema is nested too deeply")


def _translate_to_json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Translate ``nullable`` and boolean exclusive bounds of Swagger 2.0 and OpenAPI 3.0 into JSON Schema."""
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
