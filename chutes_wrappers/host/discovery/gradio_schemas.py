"""Types as a Gradio app describes them → where files are in them, and JSON Schema of what callers send and get. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.gradio_endpoints import FilePlace
from chutes_wrappers.host.discovery.references import lookup
from chutes_wrappers.host.discovery.schemas import self_contained

FILE_GOT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "filename": {"type": "string"},
        "content_type": {"type": "string"},
        "data": {"type": "string", "contentEncoding": "base64"},
    },
    "required": ["data"],
}
FILE_SENT: dict[str, Any] = {"anyOf": [FILE_GOT, {"type": "string", "format": "uri", "description": "a data: URI"}]}
_FILE_KEYS = frozenset({"path", "url", "orig_name"})
DEEPEST = 40


def file_place(kind: Mapping[str, Any]) -> tuple[FilePlace | None, str]:
    """Where a value of this type holds files, and the key that the app wants a single file under ("": none)."""
    schema = _resolved(kind, kind)
    if _is_file(schema):
        return "one", ""
    if schema.get("type") == "array" and _is_file(_resolved(kind, schema.get("items"))):
        return "many", ""
    required = schema.get("required")
    properties = schema.get("properties")
    if isinstance(required, list) and len(required) == 1 and isinstance(properties, Mapping):
        key = required[0]
        if isinstance(key, str) and _is_file(_resolved(kind, properties.get(key))):
            return "one", key
    return ("inside", "") if _holds_file(kind, 0) else (None, "")


def object_schema(
    properties: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]], required: Iterable[str]
) -> dict[str, Any]:
    """One JSON object: for each property its type, and keywords to lay over it. WrapperError when it is too large."""
    kinds = _translated((kind for kind, _ in properties.values()), FILE_SENT)
    described = {
        name: {**{key: value for key, value in kinds[str(index)].items() if key != "$defs"}, **beside}
        for index, (name, (_, beside)) in enumerate(properties.items())
    }
    schema: dict[str, Any] = {"type": "object", "properties": described}
    names = list(required)
    return self_contained(kinds, {**schema, **({"required": names} if names else {})}, dialect_30=False)


def outputs_schema(kinds: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """``{"data": [...]}`` with a value of each type. WrapperError when it is too large."""
    translated = _translated(kinds, FILE_GOT)
    items = [{key: value for key, value in kind.items() if key != "$defs"} for kind in translated.values()]
    data = {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    schema = {"type": "object", "properties": {"data": data}, "required": ["data"]}
    return self_contained(translated, schema, dialect_30=False)


def _translated(kinds: Iterable[Mapping[str, Any]], file: dict[str, Any]) -> dict[str, Any]:
    """One document with every type under its number."""
    return {str(index): _Translation(f"#/{index}", file).of(kind) for index, kind in enumerate(kinds)}


def _resolved(root: Mapping[str, Any], schema: Any) -> Mapping[str, Any]:
    """The object that ``schema`` is or leads to; of a type or null, the type."""
    for _ in range(DEEPEST):
        if not isinstance(schema, Mapping):
            return {}
        options = schema.get("anyOf")
        others = [item for item in options if item != {"type": "null"}] if isinstance(options, list) else []
        if "$ref" in schema:
            try:
                schema = lookup(root, schema["$ref"])
            except WrapperError:
                return {}
        elif len(others) == 1:
            schema = others[0]
        else:
            return schema
    return {}


def _is_file(schema: Mapping[str, Any]) -> bool:
    properties = schema.get("properties")
    return isinstance(properties, Mapping) and properties.keys() >= _FILE_KEYS


def _holds_file(value: Any, depth: int) -> bool:
    if depth > DEEPEST:
        return False
    if isinstance(value, Mapping):
        return _is_file(value) or any(_holds_file(item, depth + 1) for item in value.values())
    return isinstance(value, list) and any(_holds_file(item, depth + 1) for item in value)


class _Translation:
    """A type with files as callers write them, its references moved below ``root``, and without what is no schema."""

    def __init__(self, root: str, file: dict[str, Any]) -> None:
        self._root = root
        self._file = file

    def of(self, value: Any, depth: int = 0) -> Any:
        """``value``, translated. WrapperError when it is nested too deeply."""
        if depth > DEEPEST:
            raise WrapperError("the type is nested too deeply")
        if isinstance(value, list):
            return [self.of(item, depth + 1) for item in value]
        if not isinstance(value, Mapping):
            return value
        if _is_file(value):
            return self._file
        translated = {key: self.of(item, depth + 1) for key, item in value.items() if _means_something(key, item)}
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith("#"):
            translated["$ref"] = self._root + reference[1:]
        return translated


def _means_something(key: str, value: Any) -> bool:
    # Gradio describes a component that takes anything as {"type": {}}, and adds keywords of its own.
    return not (key == "type" and value == {}) and key != "additional_description"
