"""The nodes of a specification, with their ``$ref``s resolved. Pure.

A document may be invalid anywhere: what is not of the expected kind is read as empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

# More references in a row are circular.
_MAX_CHAIN_LENGTH = 50
_MAX_PARTS = 200
_MAX_FILES = 100
_MAX_DEPTH = 200
_ANCHORS = ("$anchor", "$dynamicAnchor")
_INDEX = re.compile(r"[0-9]{1,9}")


class Nodes:
    """Resolves references, which are JSON pointers (RFC 6901) into the document at ``location``, or into other files.

    ``load`` returns the parsed file at a path of the same service, or None. Files elsewhere are not read.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        location: str = "/",
        load: Callable[[str], Any] = lambda path: None,
    ) -> None:
        self.document = document
        self._location = location
        self._load = load
        self._files: dict[str, Any] = {}

    def resolve(self, node: Any) -> dict[str, Any]:
        """Return the object that ``node`` refers to, with the keys beside its ``$ref`` on top; empty without one."""
        siblings: dict[str, Any] = {}
        for _ in range(_MAX_CHAIN_LENGTH):
            if not isinstance(node, Mapping):
                return {}
            if not isinstance(node.get("$ref"), str):
                return {**node, **siblings}
            siblings = {**{key: value for key, value in node.items() if key != "$ref"}, **siblings}
            node = self.look_up(node["$ref"])
        return {}

    def look_up(self, reference: str) -> Any:
        """Return the value at a reference, or None."""
        url, _, fragment = reference.partition("#")
        if fragment and not fragment.startswith("/"):
            return self._identified_schemas.get(f"#{fragment}")
        target = self._identified_schemas.get(url) or self._read_file(url) if url else self.document
        for token in fragment.split("/")[1:]:
            key = unquote(token).replace("~1", "/").replace("~0", "~")
            if isinstance(target, Mapping):
                target = target.get(key)
            elif isinstance(target, list) and _INDEX.fullmatch(key) and int(key) < len(target):
                target = target[int(key)]
            else:
                return None
        return target

    @cached_property
    def _identified_schemas(self) -> dict[str, Any]:
        """The schemas with an ``$id``, by that URL, and those with an anchor, by ``#`` and its name (JSON Schema 2020-12)."""
        schemas: dict[str, Any] = {}
        pending, visited = [self.document], set()
        while pending:
            node: Any = pending.pop()
            if not isinstance(node, (Mapping, list)) or id(node) in visited:
                continue
            visited.add(id(node))
            pending += node.values() if isinstance(node, Mapping) else node
            names = (
                (get_text(node, "$id"), *(f"#{get_text(node, key)}" for key in _ANCHORS))
                if isinstance(node, Mapping)
                else ()
            )
            schemas |= {name: node for name in names if name not in ("", "#", *schemas)}
        return schemas

    @cached_property
    def has_security(self) -> bool:
        """Whether any operation of the document says which security schemes it needs."""
        items = [self.resolve(item) for item in get_mapping(self.document, "paths").values()]
        return any(isinstance(node, Mapping) and "security" in node for item in items for node in item.values())

    def _read_file(self, url: str) -> Any:
        """Return the file at ``url``, with absolute paths in its references; None for a file that cannot be used."""
        try:
            parts = urlsplit(urljoin(self._location, self._relocate(url)))
        except ValueError:
            return None
        if parts.scheme or parts.netloc:
            return None
        path = parts.path
        if path == self._location:
            return self.document
        if path not in self._files and len(self._files) < _MAX_FILES:
            self._files[path] = _make_references_absolute(self._load(path), path)
        return self._files.get(path)

    def _relocate(self, url: str) -> str:
        """Return a URL as seen from the document's location, which may name another URL as its own (OpenAPI 3.2, ``$self``)."""
        own_url = get_text(self.document, "$self").partition("#")[0]
        absolute, folder = urljoin(own_url, url), own_url[: own_url.rfind("/") + 1]
        if absolute == own_url:
            return self._location
        is_beside = bool(folder) and not url.startswith("/") and absolute.startswith(folder)
        return absolute[len(folder) :] if is_beside else url

    def iterate_parts(self, schema: Any) -> Iterator[dict[str, Any]]:
        """Yield a schema and everything that it is composed of: its target, ``allOf``, and its alternatives."""
        pending, count = [schema], 0
        while pending and count < _MAX_PARTS:
            part, count = self.resolve(pending.pop(0)), count + 1
            yield part
            for keyword in ("allOf", "anyOf", "oneOf"):
                pending += get_list(part, keyword)

    def find_types(self, schema: Any) -> set[str]:
        """Return the JSON types that a schema names, without ``null``; empty if it allows any."""
        types: set[str] = set()
        for part in self.iterate_parts(schema):
            declared = part.get("type")
            names = declared if isinstance(declared, list) else [declared]
            types |= {name for name in names if isinstance(name, str) and name != "null"}
            if not any(isinstance(name, str) for name in names):
                types |= {"object"} if "properties" in part else {"array"} if "items" in part else set()
        return types

    def find_properties(self, schema: Any) -> dict[str, Any]:
        """Return the properties of a schema and its parts; the first declaration of a name counts."""
        properties: dict[str, Any] = {}
        for part in self.iterate_parts(schema):
            properties = {**get_mapping(part, "properties"), **properties}
        return properties


def _make_references_absolute(node: Any, path: str, depth: int = 0) -> Any:
    if depth > _MAX_DEPTH:
        return None
    if isinstance(node, list):
        return [_make_references_absolute(child, path, depth + 1) for child in node]
    if not isinstance(node, Mapping):
        return node
    copy = {key: _make_references_absolute(child, path, depth + 1) for key, child in node.items()}
    if isinstance(node.get("$ref"), str):
        url, hash_, fragment = node["$ref"].partition("#")
        copy["$ref"] = f"{urljoin(path, url) if url else path}{hash_}{fragment}"
    return copy


def get_mapping(node: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return ``node[key]`` if it is an object, else an empty one."""
    value = node.get(key)
    return value if isinstance(value, Mapping) else {}


def get_list(node: Mapping[str, Any], key: str) -> list[Any]:
    """Return ``node[key]`` if it is a list, else an empty one."""
    value = node.get(key)
    return value if isinstance(value, list) else []


def get_text(node: Mapping[str, Any], key: str) -> str:
    """Return ``node[key]`` if it is text, else an empty text."""
    value = node.get(key)
    return value if isinstance(value, str) else ""
