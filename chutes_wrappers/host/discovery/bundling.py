"""Specifications in several files: files of the same service that a document refers to are added to the document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import quote, urljoin

MAX_FILES = 100
FILES_KEY = "x-chutes-wrappers-files"

ResolvePath = Callable[[str, str], "str | None"]
ReadFile = Callable[[str], Awaitable[Any]]


async def bundle(
    document: dict[str, Any],
    location: str,
    *,
    resolve_path: ResolvePath,
    read_file: ReadFile,
    check_time: Callable[[], None] = lambda: None,
) -> None:
    """Add the referenced files to ``document``, and rewrite references to point to them there.

    ``resolve_path(base, url)`` returns the path on the service of a URL found in the file at ``base``, or None for a URL
    outside the service. ``read_file`` returns the parsed file at a path, or None where it cannot be used. References
    outside the service, and those beyond ``MAX_FILES`` files, stay unchanged. ``check_time`` is called for each reference,
    and may raise. The document may name its own URL, ``$self`` (OpenAPI 3.2): such references are into itself, and those to
    its folder are relative to ``location``.
    """
    own_url = document.get("$self")
    files: dict[str, Any] = {}
    pending: list[tuple[str, Any]] = [(location, document)]
    while pending:
        base, node = pending.pop()
        for reference in _iterate_references(node):
            check_time()
            url, _, fragment = reference["$ref"].partition("#")
            url = _relocate(url, own_url, is_relative=base == location)
            is_own = not url and reference["$ref"][:1] not in ("", "#")  # by the document's own URL
            path = location if is_own else resolve_path(base, url) if url else base
            if path is None or (base == location and not url and not is_own):
                continue
            if path != location and path not in files and len(files) < MAX_FILES:
                files[path] = await read_file(path)
                pending.append((path, files[path]))
            if path == location:
                reference["$ref"] = f"#{fragment}"
            elif files.get(path) is not None:
                reference["$ref"] = f"#/{FILES_KEY}/{escape_pointer_token(path)}{fragment}"
    if files:
        document[FILES_KEY] = files


def _relocate(url: str, own_url: Any, *, is_relative: bool) -> str:
    """Return a referenced URL as seen from the document with ``$self`` = ``own_url``; empty: the document itself."""
    if not isinstance(own_url, str) or not url:
        return url
    own_url = own_url.partition("#")[0]
    try:
        absolute = urljoin(own_url, url) if is_relative else url
    except ValueError:
        return url
    folder = own_url[: own_url.rfind("/") + 1]
    if absolute == own_url:
        return ""
    return absolute[len(folder) :] if is_relative and folder and absolute.startswith(folder) else url


def _iterate_references(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every object below ``node`` that has a ``$ref``, each once: a YAML alias is one object in several places."""
    pending, visited = [node], set()
    while pending:
        node = pending.pop()
        if not isinstance(node, (dict, list)) or id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, dict) and isinstance(node.get("$ref"), str):
            yield node
        pending += node.values() if isinstance(node, dict) else node


def escape_pointer_token(path: str) -> str:
    """Return ``path`` as one token of a JSON pointer (RFC 6901) in a URL fragment."""
    return quote(path.replace("~", "~0").replace("/", "~1"), safe="~")
