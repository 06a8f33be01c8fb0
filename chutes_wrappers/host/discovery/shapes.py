"""What a schema allows, as far as it can be determined: JSON types and properties. Bounded.

An invalid schema allows everything. WrapperError is raised only when the time for the document is used up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.routes import Collection
from chutes_wrappers.host.discovery.references import ReadingTime, look_up

ALL_TYPES = frozenset({"object", "array", "string", "number", "boolean", "null"})
_COMBINATORS = ("allOf", "anyOf", "oneOf")
_ALIASES = {"integer": "number", "file": "string"}
_MAX_PARTS = 500
_MAX_DEPTH = 40


class Shapes:
    """Queries about the schemas of one document; the types of each reference are computed once."""

    def __init__(self, document: Mapping[str, Any], reading_time: ReadingTime | None = None) -> None:
        self._document = document
        self._reading_time = reading_time or ReadingTime()
        self._types: dict[str, frozenset[str]] = {}

    def iterate_parts(self, schema: Any, keywords: tuple[str, ...] = _COMBINATORS) -> Iterator[Mapping[str, Any]]:
        """Yield ``schema`` and the schemas in its combinators, with references followed; at most 500."""
        self._reading_time.check()
        pending, visited = deque([schema]), set()
        for _ in range(_MAX_PARTS):
            if not pending:
                return
            node = pending.popleft()
            if not isinstance(node, Mapping):
                continue
            reference = node.get("$ref")
            if isinstance(reference, str) and reference not in visited:
                visited.add(reference)
                pending.appendleft(self._find_target(reference))
            yield node
            for keyword in keywords:
                children = node.get(keyword)
                pending += children[:_MAX_PARTS] if isinstance(children, list) else []

    def find_properties(self, schema: Any) -> dict[str, Any]:
        """Return the properties that ``schema`` declares, including those of its combinators."""
        result: dict[str, Any] = {}
        for part in self.iterate_parts(schema):
            properties = part.get("properties")
            for name, child in properties.items() if isinstance(properties, Mapping) else ():
                result.setdefault(name, child)
        return result

    def find_required(self, schema: Any) -> list[str]:
        """Return the names that ``schema`` always requires."""
        result: dict[str, None] = {}
        for part in self.iterate_parts(schema, ("allOf",)):
            names = part.get("required")
            result |= dict.fromkeys(name for name in names if isinstance(name, str)) if isinstance(names, list) else {}
        return list(result)

    def is_object(self, schema: Any) -> bool:
        """Return whether ``schema`` allows only objects, apart from null."""
        return self.find_types(schema) - {"null"} == {"object"}

    def find_collection_type(self, schema: Any) -> Collection | None:
        """Return "array" or "object" if ``schema`` allows only that type, apart from null; else None."""
        types = self.find_types(schema) - {"null"}
        return next((kind for kind in get_args(Collection) if types == {kind}), None)

    def is_never_object(self, schema: Any) -> bool:
        """Return whether ``schema`` certainly allows no object."""
        return "object" not in self.find_types(schema)

    def can_have_property(self, schema: Any, name: str) -> bool:
        """Return whether an object of ``schema`` may have a meaningful property ``name``."""
        properties = self.find_properties(schema)
        return (
            name in properties
            or not properties
            or any(part.get("additionalProperties") for part in self.iterate_parts(schema))
        )

    def is_boolean(self, schema: Any) -> bool:
        """Return whether ``schema`` allows booleans; without any type, whether its default is a boolean."""
        types = self.find_types(schema)
        if types == ALL_TYPES:
            return any(isinstance(part.get("default"), bool) for part in self.iterate_parts(schema))
        return "boolean" in types

    def find_types(self, schema: Any, depth: int = 0) -> frozenset[str]:
        """Return the JSON types that ``schema`` may allow; an integer is a number."""
        if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
            return ALL_TYPES
        reference = schema.get("$ref")
        if isinstance(reference, str):
            if reference not in self._types:
                self._types[reference] = ALL_TYPES  # until it is computed, for a circular reference
                self._types[reference] = self.find_types(self._find_target(reference), depth + 1)
            return self._types[reference]
        types = _read_types(schema)
        for child in _get_list(schema, "allOf"):
            types = types & self.find_types(child, depth + 1) or types
        for keyword in ("anyOf", "oneOf"):
            children = _get_list(schema, keyword)
            if children:
                types = types & frozenset().union(*(self.find_types(child, depth + 1) for child in children)) or types
        return types | {"null"} if schema.get("nullable") is True else types

    def _find_target(self, reference: str) -> Any:
        try:
            return look_up(self._document, reference)
        except WrapperError:
            return None


def _get_list(schema: Mapping[str, Any], keyword: str) -> list[Any]:
    children = schema.get(keyword)
    return children if isinstance(children, list) else []


def _read_types(schema: Mapping[str, Any]) -> frozenset[str]:
    type_names = schema.get("type")
    type_words = (
        [type_names]
        if isinstance(type_names, str)
        else [word for word in _get_list(schema, "type") if isinstance(word, str)]
    )
    types = frozenset(_ALIASES.get(word, word) for word in type_words) & ALL_TYPES
    if types:
        return types
    if isinstance(schema.get("properties"), Mapping):  # the type is often missing
        return frozenset({"object"})
    return frozenset({"array"}) if isinstance(schema.get("items"), Mapping) else ALL_TYPES
