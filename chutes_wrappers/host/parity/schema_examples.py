"""A schema → one value that fits it. Pure: the same schema, the same value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chutes_wrappers.core.body_schemas import schema_of
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.parity.sample_files import sample_file

# Deeper than that a schema only repeats itself.
_DEEPEST = 12
_FORMATS = {
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


def example_body(route: Route) -> dict[str, Any]:
    """The JSON object that a caller of ``route`` may send: what its schema requires, and what it gives an example of.

    A form of which nothing is required gets its files: one without anything says nothing to any service.
    """
    schema = route.input_schema or schema_of(route.request) or {}
    body = example_object(schema)
    sends_all = route.input_schema is None or not _requires_something(schema)
    files = {name: sample_file(name) for name in route.request_format.files or () if name in body or sends_all}
    return {**body, **files, **_files_of_app(route, body)}


def _requires_something(schema: Mapping[str, Any]) -> bool:
    return bool(_Examples(schema.get("$defs") or {}).resolved(schema).get("required"))


def _files_of_app(route: Route, body: Mapping[str, Any]) -> dict[str, Any]:
    """The files that a Gradio app's endpoint takes."""
    parameters = route.gradio.parameters if route.gradio is not None else ()
    samples = {one.name: (one.file, sample_file(one.name)) for one in parameters if one.name in body}
    return {
        name: file if place == "one" else [file] for name, (place, file) in samples.items() if place in ("one", "many")
    }


def example_object(schema: Mapping[str, Any]) -> dict[str, Any]:
    """An object that fits ``schema``, whose definitions are its own ``$defs``."""
    definitions = schema.get("$defs")
    value = _Examples(definitions if isinstance(definitions, Mapping) else {}).of(schema, 0)
    return dict(value) if isinstance(value, Mapping) else {}


class _Examples:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions

    def of(self, schema: Any, depth: int) -> Any:
        node = self.resolved(schema)
        given = _given(node)
        if depth > _DEEPEST:
            return given[0] if given else None
        kind = _kind(node)
        if kind == "object" and (not given or isinstance(given[0], Mapping)):
            # An example of the body alone lacks the parameters beside it.
            return {**self._object(node, depth), **(given[0] if given else {})}
        if given:
            return given[0]
        if kind == "array":
            return self._array(node, depth)
        return _scalar(kind, node)

    def resolved(self, schema: Any) -> dict[str, Any]:
        """One node with what ``$ref``, ``allOf`` and the first useful alternative of it say."""
        node: dict[str, Any] = {}
        pending, seen = [schema], 0
        while pending and seen < 50:
            part = pending.pop(0)
            seen += 1
            if not isinstance(part, Mapping):
                continue
            reference = part.get("$ref")
            if isinstance(reference, str):
                pending.append(self._definitions.get(reference.removeprefix("#/$defs/")))
            pending += part.get("allOf") or []
            alternatives = part.get("anyOf") or part.get("oneOf") or []
            pending += [each for each in alternatives if not _is_null(each)][:1]
            _add(node, part)
        return node

    def _object(self, node: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties, required = node.get("properties") or {}, node.get("required") or []
        return {
            name: self.of(child, depth + 1)
            for name, child in properties.items()
            if name in required or (isinstance(child, Mapping) and child.keys() & {"example", "examples"})
        }

    def _array(self, node: Mapping[str, Any], depth: int) -> list[Any]:
        fixed = node.get("prefixItems") or []
        least = node.get("minItems", 1 if "items" in node else 0)
        more = max(0, (least if isinstance(least, int) else 0) - len(fixed))
        return [self.of(child, depth + 1) for child in fixed] + [self.of(node.get("items", {}), depth + 1)] * more


def _add(node: dict[str, Any], part: Mapping[str, Any]) -> None:
    for key, value in part.items():
        if key == "properties" and isinstance(value, Mapping):
            node["properties"] = {**node.get("properties", {}), **value}
        elif key == "required" and isinstance(value, list):
            node["required"] = [*node.get("required", ()), *value]
        else:
            node.setdefault(key, value)


def _given(node: Mapping[str, Any]) -> list[Any]:
    examples = node.get("examples")
    lists = [examples, node.get("enum")]
    singles = [node[key] for key in ("example", "const", "default") if key in node]
    if isinstance(examples, list) and examples:
        return examples
    return singles or next((each for each in lists if isinstance(each, list) and each), [])


def _is_null(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "null"


def _kind(node: Mapping[str, Any]) -> str:
    kinds = node.get("type")
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if isinstance(kind, str) and kind != "null":
            return kind
    return "object" if "properties" in node else "array" if "items" in node else "string"


def _scalar(kind: str, node: Mapping[str, Any]) -> Any:
    if kind == "boolean":
        return False
    if kind in ("integer", "number"):
        return _number(node, is_whole=kind == "integer")
    return _text(node)


def _number(node: Mapping[str, Any], *, is_whole: bool) -> float:
    step = node.get("multipleOf") or (1 if is_whole else 0.5)
    low = node.get("exclusiveMinimum", node.get("minimum"))
    high = node.get("exclusiveMaximum", node.get("maximum"))
    if isinstance(low, bool) or not isinstance(low, int | float):
        low = 1 if not isinstance(high, int | float) or high >= 1 else high - step
    number = -(-low // step) * step
    if "exclusiveMinimum" in node and number <= low:
        number += step
    return int(number) if is_whole else number


def _text(node: Mapping[str, Any]) -> str:
    text = _FORMATS.get(str(node.get("format")), "hello")
    if node.get("contentEncoding") == "base64":
        text = "YQ=="
    least, most = node.get("minLength", 0), node.get("maxLength", len(text))
    if isinstance(least, int) and len(text) < least:
        text = (text * (least // len(text) + 1))[:least]
    return text[:most] if isinstance(most, int) else text
