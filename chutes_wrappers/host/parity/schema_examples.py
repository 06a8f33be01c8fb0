"""Example values for JSON schemas. Pure: the same schema gives the same value.

A specification may contain invalid, huge or recursive schemas. Each gives a value of bounded size, and none an error.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from chutes_wrappers.core.body_schemas import build_fallback_schema
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.parity.sample_files import make_sample_file

# A deeper schema is recursive.
_MAX_DEPTH = 12
# Characters of one example: a schema that refers to itself several times would grow exponentially.
_MAX_SIZE = 100_000
_MAX_ITEMS = 1_000
_MAX_TEXT_LENGTH = 50_000
_FORMAT_EXAMPLES = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "http://127.0.0.1/",
    "email": "someone@example.org",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "byte": "YQ==",
}


def build_example_body(route: Route) -> dict[str, Any]:
    """Return a JSON object that a caller of ``route`` may send: fields that its schema requires or has an example of.

    A form without required fields gets its files: an empty form is of no use to any service.
    """
    schema = route.input_schema or build_fallback_schema(route.request) or {}
    body = build_example_object(schema)
    sends_all = route.input_schema is None or not _has_required_fields(schema)
    files = {name: make_sample_file(name) for name in route.request_format.files or () if name in body or sends_all}
    return {**body, **files, **_build_app_files(route, body)}


def _has_required_fields(schema: Mapping[str, Any]) -> bool:
    return bool(_ExampleBuilder(schema.get("$defs") or {}).resolve(schema).get("required"))


def _build_app_files(route: Route, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the files for the parameters of a Gradio app's endpoint."""
    parameters = route.gradio.parameters if route.gradio is not None else ()
    samples = {
        parameter.name: (parameter.file, make_sample_file(parameter.name))
        for parameter in parameters
        if parameter.name in body
    }
    return {
        name: file if multiplicity == "one" else [file]
        for name, (multiplicity, file) in samples.items()
        if multiplicity in ("one", "many")
    }


def build_example_object(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object that is valid for ``schema``, whose definitions are in its ``$defs``."""
    definitions = schema.get("$defs")
    value = _ExampleBuilder(definitions if isinstance(definitions, Mapping) else {}).build(schema, 0)
    return dict(value) if isinstance(value, Mapping) else {}


class _ExampleBuilder:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._size_left = _MAX_SIZE

    def build(self, schema: Any, depth: int) -> Any:
        if self._size_left <= 0:
            return None
        node = self.resolve(schema)
        examples = _find_examples(node)
        self._size_left -= len(json.dumps(examples[0], default=str)) if examples else 1
        if depth > _MAX_DEPTH:
            return examples[0] if examples else None
        kind = _type_of(node)
        if kind == "object" and (not examples or isinstance(examples[0], Mapping)):
            # An example of the body has no values for the parameters beside it.
            return {**self._build_object(node, depth), **(examples[0] if examples else {})}
        if examples:
            return examples[0]
        if kind == "array":
            return self._build_array(node, depth)
        value = _build_scalar(kind, node)
        self._size_left -= len(str(value))
        return value

    def resolve(self, schema: Any) -> dict[str, Any]:
        """Merge a schema with its ``$ref``, its ``allOf`` and its first useful alternative."""
        node: dict[str, Any] = {}
        pending, count = [schema], 0
        while pending and count < 50:
            part = pending.pop(0)
            count += 1
            if not isinstance(part, Mapping):
                continue
            reference = part.get("$ref")
            if isinstance(reference, str):
                pending.append(self._definitions.get(reference.removeprefix("#/$defs/")))
            pending += _get_list(part, "allOf")
            alternatives = _get_list(part, "anyOf") or _get_list(part, "oneOf")
            pending += [each for each in alternatives if not _is_null(each)][:1]
            _merge_schema(node, part)
        return node

    def _build_object(self, node: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties, required = node.get("properties"), _get_list(node, "required")
        children = {
            name: child
            for name, child in (properties.items() if isinstance(properties, Mapping) else ())
            if name in required or (isinstance(child, Mapping) and child.keys() & {"example", "examples"})
        }
        self._size_left -= sum(map(len, children))
        return {name: self.build(child, depth + 1) for name, child in children.items()}

    def _build_array(self, node: Mapping[str, Any], depth: int) -> list[Any]:
        prefix = _get_list(node, "prefixItems")
        minimum = node.get("minItems", 1 if "items" in node else 0)
        missing = max(0, min(minimum if isinstance(minimum, int) else 0, _MAX_ITEMS) - len(prefix))
        return [self.build(child, depth + 1) for child in [*prefix, *[node.get("items", {})] * missing]]


def _get_list(node: Mapping[str, Any], keyword: str) -> list[Any]:
    value = node.get(keyword)
    return value if isinstance(value, list) else []


def _merge_schema(node: dict[str, Any], part: Mapping[str, Any]) -> None:
    for key, value in part.items():
        if key == "properties" and isinstance(value, Mapping):
            node["properties"] = {**node.get("properties", {}), **value}
        elif key == "required" and isinstance(value, list):
            node["required"] = [*node.get("required", ()), *value]
        else:
            node.setdefault(key, value)


def _find_examples(node: Mapping[str, Any]) -> list[Any]:
    examples, values = node.get("examples"), node.get("enum")
    if isinstance(examples, list) and examples:
        return examples
    singles = [node[key] for key in ("example", "const", "default") if key in node]
    return singles or (values if isinstance(values, list) else [])


def _is_null(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "null"


def _type_of(node: Mapping[str, Any]) -> str:
    kinds = node.get("type")
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if isinstance(kind, str) and kind != "null":
            return kind
    return "object" if "properties" in node else "array" if "items" in node else "string"


def _build_scalar(kind: str, node: Mapping[str, Any]) -> Any:
    if kind == "boolean":
        return False
    if kind in ("integer", "number"):
        try:
            number = _build_number(node, is_whole=kind == "integer")
            return number if math.isfinite(number) else 1
        except (TypeError, ValueError, ArithmeticError):  # limits that are not numbers, or that no float can hold
            return 1
    return _build_text(node)


def _build_number(node: Mapping[str, Any], *, is_whole: bool) -> float:
    step = node.get("multipleOf") or (1 if is_whole else 0.5)
    low = node.get("exclusiveMinimum", node.get("minimum"))
    high = node.get("exclusiveMaximum", node.get("maximum"))
    if isinstance(low, bool) or not isinstance(low, int | float):
        low = 1 if not isinstance(high, int | float) or high >= 1 else high - step
    number = -(-low // step) * step
    if "exclusiveMinimum" in node and number <= low:
        number += step
    return int(number) if is_whole else number


def _build_text(node: Mapping[str, Any]) -> str:
    text = _FORMAT_EXAMPLES.get(str(node.get("format")), "hello")
    if node.get("contentEncoding") == "base64":
        text = "YQ=="
    min_length, max_length = node.get("minLength", 0), node.get("maxLength")
    if isinstance(min_length, int) and len(text) < (min_length := min(min_length, _MAX_TEXT_LENGTH)):
        text = (text * (min_length // len(text) + 1))[:min_length]
    return text[:max_length] if isinstance(max_length, int) else text
