"""Specifications in several files: the files that a document refers to, on the same service, become parts of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import quote

MOST_FILES = 100
FILES = "x-chutes-wrappers-files"

PathOf = Callable[[str, str], "str | None"]
Read = Callable[[str], Awaitable[Any]]


async def bundle(document: dict[str, Any], location: str, *, path_of: PathOf, read: Read) -> None:
    """Make references into other files point into ``document``, which takes those files in.

    ``path_of`` tells which path of the service a URL in a file at another path means (None: it is elsewhere), ``read``
    gives what the file there holds (None: nothing that can be used). What is elsewhere, or too much, stays as it is.
    """
    files: dict[str, Any] = {}
    pending: list[tuple[str, Any]] = [(location, document)]
    while pending:
        base, node = pending.pop()
        for owner in _referring(node):
            url, _, fragment = owner["$ref"].partition("#")
            path = path_of(base, url) if url else base
            if path is None or (base == location and not url):
                continue
            if path != location and path not in files and len(files) < MOST_FILES:
                files[path] = await read(path)
                pending.append((path, files[path]))
            if path == location:
                owner["$ref"] = f"#{fragment}"
            elif files.get(path) is not None:
                owner["$ref"] = f"#/{FILES}/{_token(path)}{fragment}"
    if files:
        document[FILES] = files


def _referring(node: Any) -> Iterator[dict[str, Any]]:
    """Every object below ``node`` with a ``$ref``, each once: a YAML alias is one object in several places."""
    pending, seen = [node], set()
    while pending:
        node = pending.pop()
        if not isinstance(node, (dict, list)) or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, dict) and isinstance(node.get("$ref"), str):
            yield node
        pending += node.values() if isinstance(node, dict) else node


def _token(path: str) -> str:
    """``path`` as a part of a JSON pointer in a URL."""
    return quote(path.replace("~", "~0").replace("/", "~1"), safe="~")
