"""Example values for JSON schemas. Pure: the same schema gives the same value.

A specification may contain invalid, huge or recursive schemas. Each gives a value of bounded size, and none an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from chutes_wrappers.core.body_schemas import build_fallback_schema
from chutes_wrappers.core.path_templates import find_variables
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.parity.sample_files import make_sample_file
from chutes_wrappers.host.parity.scalar_examples import build_number, build_text, convert_scalar, is_allowed

# A deeper schema is recursive.
_MAX_DEPTH = 12
# Characters of one example: a schema that refers to itself several times would grow exponentially.
_MAX_SIZE = 100_000
# Schemas that are compared with declared examples. A recursive one with alternatives multiplies.
_MAX_CHECKS = 5_000
_MAX_ITEMS = 1_000
_MAX_PROPERTIES = 100
_EXAMPLE_KEYS = ("example", "examples", "x-example")
# Of a required parameter that no schema describes, by its type.
_PARAMETER_VALUES: dict[str | None, Any] = {None: "hello", "array": ["hello"], "object": {"key": "hello"}}
# What the discriminator of an alternative requires; no keyword of a schema has this name.
_FIXED = "\0fixed"


def build_example_body(route: Route) -> dict[str, Any]:
    """Return a JSON object that a caller of ``route`` may send: fields that its schema requires or has an example of.

    A form without required fields gets its files: an empty form is of no use to any service. A variable of the path always
    has a value. Credentials are left out.
    """
    schema = route.input_schema or build_fallback_schema(route.request) or {}
    credentials = {parameter.name for parameter in route.parameters if parameter.credential}
    body = {name: value for name, value in build_example_object(schema).items() if name not in credentials}
    sends_all = route.input_schema is None or not _has_required_fields(schema)
    parts = route.request_format.parts
    files = {
        name: make_sample_file(name, parts[name].content_type if name in parts else "")
        for name in route.request_format.files or ()
        if name in body or sends_all
    }
    variables = {name: "1" for name in _list_needed_variables(route) if name not in body}
    parameters = {
        parameter.name: _PARAMETER_VALUES[parameter.type]
        for parameter in route.parameters
        if parameter.required and not parameter.credential and parameter.name not in {*body, *variables}
    }
    return {**variables, **parameters, **body, **files, **_build_app_files(route, body)}


def _list_needed_variables(route: Route) -> list[str]:
    """Return the variables of the path that a call must have, also if the route does not declare them."""
    if route.gradio is not None:
        return []
    return [variable.name for variable in find_variables(route.target_path) if not variable.is_optional]


def _has_required_fields(schema: Mapping[str, Any]) -> bool:
    return bool(ExampleBuilder(_look_up_in(schema)).resolve(schema).get("required"))


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
    value = ExampleBuilder(_look_up_in(schema)).build(schema)
    return dict(value) if isinstance(value, Mapping) else {}


def select_property(schema: Mapping[str, Any], name: str, value: Any) -> list[Any]:
    """Return ``value`` as the property ``name`` of an object's ``schema`` may have it, maybe converted; or nothing."""
    builder = ExampleBuilder(_look_up_in(schema))
    return builder.select(_get_object(builder.resolve(schema), "properties").get(name, {}), [value])


def build_all_properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for each property of an object's ``schema``, also if it is not required; constants aside, up to 100."""
    builder = ExampleBuilder(_look_up_in(schema))
    properties = builder.resolve(schema).get("properties")
    items = [*properties.items()][:_MAX_PROPERTIES] if isinstance(properties, Mapping) else []
    values = {
        name: builder.build(value)
        for name, value in items
        if not (isinstance(value, Mapping) and value.get("readOnly"))
    }
    return {name: value for name, value in values.items() if value is not None}


def _look_up_in(schema: Mapping[str, Any]) -> Callable[[str], Any]:
    definitions = schema.get("$defs")
    return lambda reference: (
        definitions.get(reference.removeprefix("#/$defs/")) if isinstance(definitions, Mapping) else None
    )


class ExampleBuilder:
    """Builds values for schemas of one document; ``look_up`` returns the value at a ``$ref``, or None."""

    def __init__(self, look_up: Callable[[str], Any]) -> None:
        self._look_up = look_up
        self._size_left = _MAX_SIZE
        self._checks_left = _MAX_CHECKS

    def build(self, schema: Any, depth: int = 0) -> Any:
        """Return a value for ``schema``: its own example, default or first allowed value, else one within its bounds."""
        if self._size_left <= 0:
            return None
        node = self.resolve(schema)
        examples = self.select(schema, _list_examples(node), depth)
        self._size_left -= len(json.dumps(examples[0], default=str)) if examples else 1
        if depth > _MAX_DEPTH:
            return examples[0] if examples else None
        kind = _type_of(node)
        if kind == "object" and (not examples or isinstance(examples[0], Mapping)):
            # An example of the body has no values for the parameters beside it.
            return self._build_object(node, examples[0] if examples else {}, depth)
        if examples:
            return examples[0]
        if kind == "array":
            return self._build_array(node, depth)
        value = _build_scalar(kind, node)
        self._size_left -= len(str(value))
        return value

    def select(self, schema: Any, values: Sequence[Any], depth: int = 0) -> list[Any]:
        """Return the first of ``values`` that ``schema`` allows, else the first that is allowed after a change; or none."""
        for value in values:
            if self.allows(schema, value):
                return [value]
        return next(([changed[0]] for value in values if (changed := self._adapt(schema, value, depth))), [])

    def _adapt(self, schema: Any, value: Any, depth: int) -> list[Any]:
        """Return ``value`` with other values where ``schema`` does not allow its own; nothing for another type of value."""
        node = self.resolve(schema)
        kind = _type_of(node)
        if depth > _MAX_DEPTH or "enum" in node or "const" in node:
            return []
        if isinstance(value, Mapping) and kind == "object":
            changed: Any = self._adapt_object(node, value, depth)
        elif isinstance(value, list) and kind == "array":
            high = node.get("maxItems")
            items = [self._replace(node.get("items", {}), item, depth) for item in value[:_MAX_ITEMS]]
            items = items[: high if isinstance(high, int) and high >= 0 else None]
            changed = [*items, *self._build_array(node, depth)[len(items) :]]
        else:
            return [text for text in convert_scalar(value, kind, node.get("format")) if self.allows(schema, text)]
        return [changed if self.allows(schema, changed) else value]

    def _adapt_object(self, node: Mapping[str, Any], value: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = _get_object(node, "properties")
        is_closed = node.get("additionalProperties") is False and "patternProperties" not in node
        required = _get_list(node, "required")
        fields = {
            name: self._replace(properties[name], child, depth) if name in properties else child
            for name, child in value.items()
            if (name in properties or not is_closed) and (child is not None or name in required)
        }
        return self._build_object(node, fields, depth)

    def _replace(self, schema: Any, value: Any, depth: int) -> Any:
        """Return ``value`` if ``schema`` allows it, maybe after a change; else another one."""
        selected = self.select(schema, [value], depth + 1)
        return selected[0] if selected else self.build(schema, depth + 1)

    def allows(self, schema: Any, value: Any, depth: int = 0) -> bool:
        """Return whether ``schema`` allows ``value``, as far as ``is_allowed`` checks it, by one of its alternatives."""
        self._checks_left -= 1
        if not isinstance(schema, Mapping) or depth > _MAX_DEPTH or self._checks_left < 0:
            return schema is not False
        if isinstance(schema.get("$ref"), str) and not self.allows(self._look_up(schema["$ref"]), value, depth + 1):
            return False
        parts = {keyword: _get_list(schema, keyword) for keyword in ("allOf", "anyOf", "oneOf")}
        return (
            is_allowed(value, schema)
            and self._allows_children(schema, value, depth)
            and all(self.allows(part, value, depth + 1) for part in parts["allOf"])
            and all(
                any(self.allows(part, value, depth + 1) for part in parts[keyword])
                for keyword in ("anyOf", "oneOf")
                if parts[keyword]
            )
        )

    def _allows_children(self, schema: Mapping[str, Any], value: Any, depth: int) -> bool:
        if isinstance(value, list):
            low, high = schema.get("minItems", 0), schema.get("maxItems", len(value))
            has_length = not (isinstance(low, int) and isinstance(high, int)) or low <= len(value) <= high
            items = schema.get("items", {})
            return has_length and all(self.allows(items, item, depth + 1) for item in value[:_MAX_ITEMS])
        if not isinstance(value, Mapping):
            return True
        properties = _get_object(schema, "properties")
        is_closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
        missing = [name for name in _get_list(schema, "required") if name not in value]
        return (
            all(_is_read_only(properties.get(name)) for name in missing if isinstance(name, str))
            and not (is_closed and value.keys() - properties.keys())
            and all(self.allows(child, value[name], depth + 1) for name, child in properties.items() if name in value)
        )

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
                pending.append(self._look_up(reference))
            pending += _get_list(part, "allOf")
            for keyword in ("anyOf", "oneOf"):
                if alternatives := [each for each in _get_list(part, keyword) if not _is_null(each)][:1]:
                    pending += alternatives
                    _merge_schema(node, {_FIXED: _find_discriminated(part, alternatives)})
            _merge_schema(node, part)
        return node

    def _build_object(self, node: Mapping[str, Any], example: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = {
            name: child for name, child in _get_object(node, "properties").items() if not _is_read_only(child)
        }
        required = {name for name in _get_list(node, "required") if isinstance(name, str)}
        selected = [name for name, child in properties.items() if name in required or _has_example(child)]
        value = self._build_properties(properties, [name for name in selected if name not in example], depth)
        fixed = {name: text for name, text in node.get(_FIXED, {}).items() if not _has_value(properties.get(name))}
        value = {**value, **fixed, **example}
        value |= self._build_dependent(node, properties, value, depth)
        return {**value, **self._build_further(node, properties, value, depth)}

    def _build_properties(self, properties: Mapping[str, Any], names: Iterable[str], depth: int) -> dict[str, Any]:
        children = {name: properties.get(name, {}) for name in names}
        self._size_left -= sum(map(len, children))
        return {name: self.build(child, depth + 1) for name, child in children.items()}

    def _build_dependent(
        self, node: Mapping[str, Any], properties: Mapping[str, Any], value: Mapping[str, Any], depth: int
    ) -> dict[str, Any]:
        """Return what ``if`` with ``then`` or ``else``, and ``dependentRequired``, add to ``value``."""
        condition = node.get("if")
        applied = (
            node.get("then" if self._meets(value, condition) else "else") if isinstance(condition, Mapping) else None
        )
        branch = self.resolve(applied)
        further, dependent = _get_object(branch, "properties"), _get_object(node, "dependentRequired")
        names = [*_get_list(branch, "required"), *(name for key in value for name in _get_list(dependent, key))]
        missing = [name for name in dict.fromkeys(names) if isinstance(name, str) and name not in value]
        merged = {name: {"allOf": [further[name], properties.get(name, {})]} for name in further}
        return self._build_properties({**properties, **merged}, missing, depth)

    def _meets(self, value: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
        """Return whether ``value`` has what ``condition`` requires, and the properties that it names are allowed by it."""
        node = self.resolve(condition)
        has_required = all(name in value for name in _get_list(node, "required"))
        return has_required and all(
            is_allowed(value[name], self.resolve(child))
            for name, child in _get_object(node, "properties").items()
            if name in value
        )

    def _build_further(
        self, node: Mapping[str, Any], properties: Mapping[str, Any], value: Mapping[str, Any], depth: int
    ) -> dict[str, Any]:
        """Return the properties that ``minProperties`` still requires: declared ones, then others."""
        minimum = node.get("minProperties")
        count = min(minimum, _MAX_PROPERTIES) - len(value) if isinstance(minimum, int) else 0
        names = [name for name in properties if name not in value][: max(count, 0)]
        further = self._build_properties(properties, names, depth)
        others = {f"key{number}": node.get("additionalProperties", {}) for number in range(1, count - len(names) + 1)}
        is_open = node.get("additionalProperties") is not False
        return {**further, **(self._build_properties(others, others, depth) if is_open else {})}

    def _build_array(self, node: Mapping[str, Any], depth: int) -> list[Any]:
        prefix = _get_list(node, "prefixItems")
        minimum = node.get("minItems", 1 if "items" in node and node.get("maxItems") != 0 else 0)
        missing = max(0, min(minimum if isinstance(minimum, int) else 0, _MAX_ITEMS) - len(prefix))
        contained = [node["contains"]] if "contains" in node and missing else []
        schemas = [*prefix, *contained, *[node.get("items", {})] * (missing - len(contained))]
        items = [self.build(child, depth + 1) for child in schemas]
        return self._make_unique(items, node.get("items")) if node.get("uniqueItems") is True else items

    def _make_unique(self, items: list[Any], schema: Any) -> list[Any]:
        """Return ``items`` with other allowed values in the place of repeated ones, where such are known."""
        node, unique = self.resolve(schema), list[Any]()
        for item in items:
            variants = [item, *_get_list(node, "enum"), *_vary(item, len(items))]
            unique.append(next((each for each in variants if each not in unique and is_allowed(each, node)), item))
        return unique


def _vary(value: Any, count: int) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, (int, float)):
        return [value + number for number in range(1, count * 8)]
    if isinstance(value, Mapping):
        return [
            {**value, name: other}
            for name, each in value.items()
            if not isinstance(each, Mapping)
            for other in _vary(each, count)
        ][: count * 8]
    return [f"{value[: -len(str(number))]}{number}" for number in range(1, count * 8)] if isinstance(value, str) else []


def _find_discriminated(part: Mapping[str, Any], alternatives: list[Any]) -> dict[str, str]:
    """Return the property with which a ``discriminator`` names the first of ``alternatives``, and its value."""
    discriminator = part.get("discriminator")
    reference = alternatives[0].get("$ref") if alternatives and isinstance(alternatives[0], Mapping) else None
    if not isinstance(discriminator, Mapping) or not isinstance(reference, str):
        return {}
    name, mapping = discriminator.get("propertyName"), discriminator.get("mapping")
    schema_name = reference.rsplit("/", 1)[-1]
    targets = mapping.items() if isinstance(mapping, Mapping) else ()
    value = next(
        (key for key, target in targets if isinstance(target, str) and target.rsplit("/", 1)[-1] == schema_name),
        schema_name,
    )
    return {name: value} if isinstance(name, str) else {}


def _has_value(schema: Any) -> bool:
    return isinstance(schema, Mapping) and bool(schema.keys() & {"const", "enum", *_EXAMPLE_KEYS})


def _has_example(schema: Any) -> bool:
    return isinstance(schema, Mapping) and any(key in schema for key in _EXAMPLE_KEYS)


def _get_list(node: Mapping[str, Any], keyword: str) -> list[Any]:
    value = node.get(keyword)
    return value if isinstance(value, list) else []


def _get_object(node: Mapping[str, Any], keyword: str) -> Mapping[str, Any]:
    value = node.get(keyword)
    return value if isinstance(value, Mapping) else {}


def _merge_schema(node: dict[str, Any], part: Mapping[str, Any]) -> None:
    for key, value in part.items():
        if key in ("properties", _FIXED) and isinstance(value, Mapping):
            node[key] = {**node.get(key, {}), **value}
        elif key == "required" and isinstance(value, list):
            node["required"] = [*node.get("required", ()), *value]
        else:
            node.setdefault(key, value)


def _list_examples(node: Mapping[str, Any]) -> list[Any]:
    """Return the values that a schema itself has, its examples first."""
    examples = _get_list(node, "examples")
    singles = [node[key] for key in ("example", "x-example", "const", "default") if key in node]
    return [*examples, *singles, *_get_list(node, "enum")]


def _is_read_only(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("readOnly") is True


def _is_null(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "null"


def _type_of(node: Mapping[str, Any]) -> str:
    kinds = node.get("type")
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if isinstance(kind, str) and kind != "null":
            return kind
    if "properties" in node or "additionalProperties" in node or _get_list(node, "required"):
        return "object"
    return "array" if "items" in node or "prefixItems" in node else "string"


def _build_scalar(kind: str, node: Mapping[str, Any]) -> Any:
    if kind == "boolean":
        return False
    if kind in ("integer", "number"):
        return build_number(node, is_whole=kind == "integer")
    return build_text(node)
