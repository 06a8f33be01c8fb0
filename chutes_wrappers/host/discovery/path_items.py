"""The operations in the path items of a specification, with the problems of those that cannot be read. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.routes import METHODS, Route
from chutes_wrappers.host.discovery.references import resolve_node

ANY_METHOD = "*"
_OTHER_KEYS = frozenset({"summary", "description", "servers", "parameters", "$ref"})
_ADDITIONAL = "additionalOperations"


@dataclass(frozen=True, kw_only=True)
class DeclaredOperation:
    """One entry of a path item, and the resolved path item; ``problem`` says why it cannot be read.

    ``is_additional``: OpenAPI 3.2's ``additionalOperations`` has it, and its method keeps its capitalisation.
    """

    path: str
    method: str
    item: Mapping[str, Any]
    node: Mapping[str, Any]
    problem: str | None = None
    is_additional: bool = False


def iterate_operations(document: Mapping[str, Any]) -> Iterator[DeclaredOperation]:
    """Yield every operation of ``document``; a path item that cannot be read is one of ``ANY_METHOD``."""
    paths = document.get("paths", {})
    for path, node in paths.items() if isinstance(paths, Mapping) else ():
        if path.startswith("x-"):
            continue
        try:
            item = resolve_node(document, node, "the path item")
        except WrapperError as error:
            yield DeclaredOperation(path=path, method=ANY_METHOD, item={}, node={}, problem=error.what)
            continue
        for key, value in item.items():
            if key == _ADDITIONAL:
                yield from _iterate_additional(path, item, value)
            elif key not in _OTHER_KEYS and not key.startswith("x-"):
                yield _read_operation(path, key, item, value)


def _iterate_additional(path: str, item: Mapping[str, Any], operations: Any) -> Iterator[DeclaredOperation]:
    if not isinstance(operations, Mapping):
        yield DeclaredOperation(
            path=path, method=ANY_METHOD, item={}, node={}, problem=f"`{_ADDITIONAL}` is not an object"
        )
        return
    for method, node in operations.items():
        yield _read_operation(path, method, item, node, is_additional=True)


def _read_operation(
    path: str, key: str, item: Mapping[str, Any], node: Any, *, is_additional: bool = False
) -> DeclaredOperation:
    method, problem = (key if is_additional and key.upper() not in METHODS else key.upper())[:50], None
    if method == "HEAD":
        problem = "a response to HEAD has no body: name the route in CHUTE_STATIC_ROUTES if callers need it"
    elif is_additional and not _is_method(method):
        problem = f"{method!r} is not a method of HTTP that a client can send"
    elif not is_additional and method not in METHODS:
        problem = f"{key[:50]!r} is not a method of a path item: OpenAPI 3.2 has other methods in `{_ADDITIONAL}`"
    elif not isinstance(node, Mapping):
        problem = "the operation is not an object"
    valid_node = node if isinstance(node, Mapping) else {}
    return DeclaredOperation(
        path=path, method=method, item=item, node=valid_node, problem=problem, is_additional=is_additional
    )


def _is_method(text: str) -> bool:
    try:
        return bool(text) and bool(Route(path="/", target_method=text))
    except ValidationError:
        return False
