"""What a schema lets through, as far as it can be told: which JSON types, which properties. Pure and bounded.

Nothing here raises: a schema that says nothing sensible lets everything through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.routes import Collection
from chutes_wrappers.host.discovery.references import lookup

ANYTHING = frozenset({"object", "array", "string", "number", "boolean", "null"})
_COMBINATORS = ("allOf", "anyOf", "oneOf")
_ALIASES = {"integer": "number", "file": "string"}
_MOST_PARTS = 500
_DEEPEST = 40


class Shapes:
    """Questions about the schemas of one document; what a reference leads to is worked out once."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._types: dict[str, frozenset[str]] = {}

    def parts(self, schema: Any, keywords: tuple[str, ...] = _COMBINATORS) -> Iterator[Mapping[str, Any]]:
        """``schema`` and the schemas that it is combined from, references followed; at most 500."""
        pending, seen = [schema], set()
        for _ in range(_MOST_PARTS):
            if not pending:
                return
            node = pending.pop(0)
            if not isinstance(node, Mapping):
                continue
            reference = node.get("$ref")
            if isinstance(reference, str) and reference not in seen:
                seen.add(reference)
                pending.insert(0, self._target(reference))
            yield node
            for keyword in keywords:
                children = node.get(keyword)
                pending += children if isinstance(children, list) else []

    def properties(self, schema: Any) -> dict[str, Any]:
        """The properties that ``schema`` names, by itself and through what it is combined from."""
        found: dict[str, Any] = {}
        for part in self.parts(schema):
            properties = part.get("properties")
            for name, child in properties.items() if isinstance(properties, Mapping) else ():
                found.setdefault(name, child)
        return found

    def required(self, schema: Any) -> list[str]:
        """The names that ``schema`` requires in every case."""
        found: dict[str, None] = {}
        for part in self.parts(schema, ("allOf",)):
            names = part.get("required")
            found |= dict.fromkeys(name for name in names if isinstance(name, str)) if isinstance(names, list) else {}
        return list(found)

    def is_object(self, schema: Any) -> bool:
        """Whether ``schema`` lets objects through and nothing else but null."""
        return self.types(schema) - {"null"} == {"object"}

    def collection(self, schema: Any) -> Collection | None:
        """Whether ``schema`` lets lists through and nothing else but null, or objects; None for anything else."""
        types = self.types(schema) - {"null"}
        return next((kind for kind in get_args(Collection) if types == {kind}), None)

    def is_never_object(self, schema: Any) -> bool:
        """Whether ``schema`` certainly lets no object through."""
        return "object" not in self.types(schema)

    def may_have(self, schema: Any, name: str) -> bool:
        """Whether an object that ``schema`` lets through may have a property ``name`` that means something."""
        named = self.properties(schema)
        return name in named or not named or any(part.get("additionalProperties") for part in self.parts(schema))

    def is_switch(self, schema: Any) -> bool:
        """Whether ``schema`` is of a value that is true or false."""
        types = self.types(schema)
        if types == ANYTHING:
            return any(isinstance(part.get("default"), bool) for part in self.parts(schema))
        return "boolean" in types

    def types(self, schema: Any, depth: int = 0) -> frozenset[str]:
        """The JSON types that ``schema`` may let through; an integer is a number."""
        if not isinstance(schema, Mapping) or depth > _DEEPEST:
            return ANYTHING
        reference = schema.get("$ref")
        if isinstance(reference, str):
            if reference not in self._types:
                self._types[reference] = ANYTHING  # until it is known, for one that leads back here
                self._types[reference] = self.types(self._target(reference), depth + 1)
            return self._types[reference]
        types = _own_types(schema)
        for child in _list(schema, "allOf"):
            types = types & self.types(child, depth + 1) or types
        for keyword in ("anyOf", "oneOf"):
            children = _list(schema, keyword)
            if children:
                types = types & frozenset().union(*(self.types(child, depth + 1) for child in children)) or types
        return types | {"null"} if schema.get("nullable") is True else types

    def _target(self, reference: str) -> Any:
        try:
            return lookup(self._document, reference)
        except WrapperError:
            return None


def _list(schema: Mapping[str, Any], keyword: str) -> list[Any]:
    children = schema.get(keyword)
    return children if isinstance(children, list) else []


def _own_types(schema: Mapping[str, Any]) -> frozenset[str]:
    named = schema.get("type")
    words = [named] if isinstance(named, str) else [word for word in _list(schema, "type") if isinstance(word, str)]
    types = frozenset(_ALIASES.get(word, word) for word in words) & ANYTHING
    if types:
        return types
    if isinstance(schema.get("properties"), Mapping):  # a type is often forgotten
        return frozenset({"object"})
    return frozenset({"array"}) if isinstance(schema.get("items"), Mapping) else ANYTHING
