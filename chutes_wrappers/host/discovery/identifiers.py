"""References by name: ``$id`` and ``$anchor`` of JSON Schema 2020-12, which OpenAPI 3.1 uses. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.discovery.bundling import escape_pointer_token
from chutes_wrappers.host.discovery.references import look_up

_ANCHORS = ("$anchor", "$dynamicAnchor")
_KEYS = frozenset({"$id", *_ANCHORS})


@dataclass
class _Names:
    """JSON pointers of the schemas with an ``$id``, by URL, and with an anchor, by URL and name; references with their base."""

    urls: dict[str, str] = field(default_factory=dict)
    anchors: dict[tuple[str, str], str] = field(default_factory=dict)
    references: list[tuple[dict[str, Any], str]] = field(default_factory=list)


def replace_names(document: dict[str, Any], location: str, check_time: Callable[[], None] = lambda: None) -> None:
    """Rewrite the references in ``document`` by ``$id`` and ``$anchor`` as JSON pointers; others stay unchanged.

    ``location`` is the path of the document, which may name its own URL. ``check_time`` is called for each reference, and may
    raise.
    """
    if not _has_names(document):
        return
    own_url = document.get("$self")
    names = _collect_names(document, own_url if isinstance(own_url, str) else location)
    for node, base in names.references:
        check_time()
        pointer = _find_pointer(document, names, node["$ref"], base)
        if pointer is not None:
            node["$ref"] = f"#{pointer}"


def _has_names(document: dict[str, Any]) -> bool:
    """Return whether any object has an ``$id`` or anchor. Most documents have none, and this is the quicker question."""
    pending: list[Any] = [document]
    visited: set[int] = set()
    while pending:
        node = pending.pop()
        if not isinstance(node, (dict, list)) or id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, dict) and not node.keys().isdisjoint(_KEYS):
            return True
        pending += node.values() if isinstance(node, dict) else node
    return False


def _collect_names(document: dict[str, Any], url: str) -> _Names:
    names, pending, visited = _Names(), [(document, "", url)], set()
    while pending:
        node, pointer, base = pending.pop()
        if not isinstance(node, (dict, list)) or id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, dict):
            base = _read_names(names, node, pointer, base)
        children = node.items() if isinstance(node, dict) else enumerate(node)
        pending += ((child, f"{pointer}/{escape_pointer_token(str(key))}", base) for key, child in children)
    return names


def _read_names(names: _Names, node: dict[str, Any], pointer: str, base: str) -> str:
    """Add the names of one node, and return the URL to which references in it are relative."""
    if isinstance(node.get("$id"), str):
        try:
            base = urljoin(base, node["$id"]).removesuffix("#")
        except ValueError:
            return base
        names.urls.setdefault(base, pointer)
    for key in _ANCHORS:
        if isinstance(node.get(key), str):
            names.anchors.setdefault((base, node[key]), pointer)
    if isinstance(node.get("$ref"), str):
        names.references.append((node, base))
    return base


def _find_pointer(document: dict[str, Any], names: _Names, reference: str, base: str) -> str | None:
    """Return the JSON pointer that a reference by name means; None for any other reference."""
    url, _, fragment = reference.partition("#")
    try:
        target = urljoin(base, url) if url else base
    except ValueError:
        return None
    if fragment and not fragment.startswith("/"):
        return names.anchors.get((target, fragment))
    if target not in names.urls:
        return None
    pointer = names.urls[target] + fragment
    try:
        look_up(document, f"#{pointer}")
    except WrapperError:  # a schema with an ``$id`` whose references are into the whole document
        return None
    return pointer
