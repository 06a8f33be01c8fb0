"""Read the types of a Gradio app: where they contain files, and the JSON Schema of inputs and outputs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.gradio_endpoints import FileShape
from chutes_wrappers.host.discovery.references import look_up
from chutes_wrappers.host.discovery.schemas import make_self_contained

FILE_OUTPUT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "filename": {"type": "string"},
        "content_type": {"type": "string"},
        "data": {"type": "string", "contentEncoding": "base64"},
    },
    "required": ["data"],
}
FILE_INPUT_SCHEMA: dict[str, Any] = {
    "anyOf": [FILE_OUTPUT_SCHEMA, {"type": "string", "format": "uri", "description": "a data: URI"}]
}
_FILE_KEYS = frozenset({"path", "url", "orig_name"})
MAX_DEPTH = 40


def find_file_shape(type_schema: Mapping[str, Any]) -> tuple[FileShape | None, str]:
    """Return how a value of this type contains files, and the key under which the app expects a single file ("": none)."""
    schema = _resolve_type(type_schema, type_schema)
    if _is_file(schema):
        return "one", ""
    if schema.get("type") == "array" and _is_file(_resolve_type(type_schema, schema.get("items"))):
        return "many", ""
    required = schema.get("required")
    properties = schema.get("properties")
    if isinstance(required, list) and len(required) == 1 and isinstance(properties, Mapping):
        key = required[0]
        if isinstance(key, str) and _is_file(_resolve_type(type_schema, properties.get(key))):
            return "one", key
    return ("inside", "") if _has_file(type_schema, 0) else (None, "")


def build_object_schema(
    properties: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]], required: Iterable[str]
) -> dict[str, Any]:
    """Return the schema of one JSON object.

    ``properties`` maps each name to its type and to keywords that override those of the type. Raises WrapperError when
    the schema is too large.
    """
    type_schemas = _translate_types((type_schema for type_schema, _ in properties.values()), FILE_INPUT_SCHEMA)
    property_schemas = {
        name: {**{key: value for key, value in type_schemas[str(index)].items() if key != "$defs"}, **extra_keywords}
        for index, (name, (_, extra_keywords)) in enumerate(properties.items())
    }
    schema: dict[str, Any] = {"type": "object", "properties": property_schemas}
    required_names = list(required)
    return make_self_contained(
        type_schemas, {**schema, **({"required": required_names} if required_names else {})}, dialect_30=False
    )


def build_outputs_schema(type_schemas: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the schema of ``{"data": [...]}`` with a value of each type. Raises WrapperError when it is too large."""
    translated = _translate_types(type_schemas, FILE_OUTPUT_SCHEMA)
    items = [
        {key: value for key, value in type_schema.items() if key != "$defs"} for type_schema in translated.values()
    ]
    data = {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    schema = {"type": "object", "properties": {"data": data}, "required": ["data"]}
    return make_self_contained(translated, schema, dialect_30=False)


def _translate_types(type_schemas: Iterable[Mapping[str, Any]], file_schema: dict[str, Any]) -> dict[str, Any]:
    """Return one document that holds every type under its index."""
    return {
        str(index): _TypeTranslator(f"#/{index}", file_schema).translate(type_schema)
        for index, type_schema in enumerate(type_schemas)
    }


def _resolve_type(root: Mapping[str, Any], schema: Any) -> Mapping[str, Any]:
    """Return ``schema`` with references followed; of "type or null" only the type."""
    for _ in range(MAX_DEPTH):
        if not isinstance(schema, Mapping):
            return {}
        alternatives = schema.get("anyOf")
        non_null_options = (
            [item for item in alternatives if item != {"type": "null"}] if isinstance(alternatives, list) else []
        )
        if "$ref" in schema:
            try:
                schema = look_up(root, schema["$ref"])
            except WrapperError:
                return {}
        elif len(non_null_options) == 1:
            schema = non_null_options[0]
        else:
            return schema
    return {}


def _is_file(schema: Mapping[str, Any]) -> bool:
    properties = schema.get("properties")
    return isinstance(properties, Mapping) and properties.keys() >= _FILE_KEYS


def _has_file(value: Any, depth: int) -> bool:
    if depth > MAX_DEPTH:
        return False
    if isinstance(value, Mapping):
        return _is_file(value) or any(_has_file(item, depth + 1) for item in value.values())
    return isinstance(value, list) and any(_has_file(item, depth + 1) for item in value)


class _TypeTranslator:
    """Translates a type into JSON Schema.

    Files become ``file_schema``, references point below ``root``, and keywords that are not JSON Schema are removed.
    """

    def __init__(self, root: str, file_schema: dict[str, Any]) -> None:
        self._root = root
        self._file_schema = file_schema

    def translate(self, value: Any, depth: int = 0) -> Any:
        """Return ``value``, translated. Raises WrapperError when it is nested too deeply."""
        if depth > MAX_DEPTH:
            raise WrapperError("the type is nested too deeply")
        if isinstance(value, list):
            return [self.translate(item, depth + 1) for item in value]
        if not isinstance(value, Mapping):
            return value
        if _is_file(value):
            return self._file_schema
        translated = {
            key: self.translate(item, depth + 1) for key, item in value.items() if _is_schema_keyword(key, item)
        }
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith("#"):
            translated["$ref"] = self._root + reference[1:]
        return translated


def _is_schema_keyword(key: str, value: Any) -> bool:
    # Gradio describes a component that accepts anything as {"type": {}}, and adds keywords that JSON Schema does not have.
    return not (key == "type" and value == {}) and key != "additional_description"
