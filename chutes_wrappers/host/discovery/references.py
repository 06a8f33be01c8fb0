"""``$ref``s inside one document. Pure; a reference that leads nowhere is an error with its name, never a loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from chutes_wrappers.core.errors import WrapperError

_LONGEST_CHAIN = 32


def lookup(document: Mapping[str, Any], reference: Any) -> Any:
    """What a ``$ref`` value points at: a JSON pointer, percent-encoded or not, into ``document``."""
    if not isinstance(reference, str):
        raise WrapperError("a `$ref` is not a string")
    if not reference.startswith("#"):
        raise WrapperError(f"`$ref` {reference[:200]!r} points into another document")
    pointer = reference[1:]
    if pointer and not unquote(pointer).startswith("/"):
        raise WrapperError(f"`$ref` {reference[:200]!r} is not a JSON pointer")
    # As it should be read, and as it is also written: "/" encoded inside a name, "%" not encoded.
    readings = (unquote(pointer).split("/"), list(map(unquote, pointer.split("/"))), pointer.split("/"))
    for tokens in readings:
        try:
            return _followed(document, tokens[1:])
        except LookupError:
            continue
    raise WrapperError(f"`$ref` {reference[:200]!r} does not exist")


def _followed(target: Any, tokens: Iterable[str]) -> Any:
    for token in tokens:
        target = _child(target, token.replace("~1", "/").replace("~0", "~"))
    return target


def _child(target: Any, token: str) -> Any:
    if isinstance(target, Mapping) and token in target:
        return target[token]
    if (
        isinstance(target, list)
        and token.isascii()
        and token.isdigit()
        and len(token) < 10
        and int(token) < len(target)
    ):
        return target[int(token)]
    raise LookupError(token)


def resolve(document: Mapping[str, Any], node: Any, what: str) -> dict[str, Any]:
    """``node``, or the object that its ``$ref`` leads to, with the keys beside a ``$ref`` laid over it.

    ``what`` names the node in errors ("the path item").
    """
    beside: dict[str, Any] = {}
    for _ in range(_LONGEST_CHAIN):
        if not isinstance(node, Mapping):
            raise WrapperError(f"{what} is not an object")
        if "$ref" not in node:
            return {**node, **beside}
        beside = {**{key: value for key, value in node.items() if key != "$ref"}, **beside}
        node = lookup(document, node["$ref"])
    raise WrapperError(f"{what} is a `$ref` that leads back to itself")
