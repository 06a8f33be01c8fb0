"""Specifications in several files: the files that a document refers to, on the same service, become parts of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import quote

MAX_FILES = 100
FILES_KEY = "x-chutes-wrappers-files"

ResolvePath = Callable[[str, str], "str | None"]
ReadFile = Callable[[str], Awaitable[Any]]


async def bundle(document: dict[str, Any], location: str, *, resolve_path: ResolvePath, read_file: ReadFile) -> None:
    """Make references into other files point into ``document``, which takes those files in.

    ``resolve_path`` tells which path of the service a URL in a file at another path means (None: it is elsewhere), ``read_file``
    gives what the file there holds (None: nothing that can be used). What is elsewhere, or too much, stays as it is.
    """
    files: dict[str, Any] = {}
    pending: list[tuple[str, Any]] = [(location, document)]
    while pending:
        base, node = pending.pop()
        for reference in _iterate_references(node):
            url, _, fragment = reference["$ref"].partition("#")
            path = resolve_path(base, url) if url else base
            if path is None or (base == location and not url):
                continue
            if path != location and path not in files and len(files) < MAX_FILES:
                files[path] = await read_file(path)
                pending.append((path, files[path]))
            if path == location:
                reference["$ref"] = f"#{fragment}"
            elif files.get(path) is not None:
                reference["$ref"] = f"#/{FILES_KEY}/{_escape_pointer_token(path)}{fragment}"
    if files:
        document[FILES_KEY] = files


def _iterate_references(node: Any) -> Iterator[dict[str, Any]]:
    """Every object below ``node`` with a ``$ref``, each once: a YAML alias is one object in several places."""
    pending, visited = [node], set()
    while pending:
        node = pending.pop()
        if not isinstance(node, (dict, list)) or id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, dict) and isinstance(node.get("$ref"), str):
            yield node
        pending += node.values() if isinstance(node, dict) else node


def _escape_pointer_token(path: str) -> str:
    """``path`` as a part of a JSON pointer in a URL."""
    return quote(path.replace("~", "~0").replace("/", "~1"), safe="~")
