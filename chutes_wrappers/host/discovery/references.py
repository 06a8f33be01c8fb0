"""``$ref``s inside one document. An invalid reference raises an error that names it; loops are detected.

References multiply: a small document can refer to one large object thousands of times. So they are followed without copies,
and all work on one document has a limit.
"""

from __future__ import annotations

import time
from collections import ChainMap
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from chutes_wrappers.core.errors import WrapperError

_MAX_CHAIN_LENGTH = 32
# A specification of 16,000 operations and 3,000 large schemas needs 8 s.
MAX_READING_S = 60.0


class ReadingTime:
    """The processor time of this process that reading the documents of one service may take."""

    def __init__(self, limit_s: float = MAX_READING_S) -> None:
        self._limit_s = limit_s
        self._end = time.process_time() + limit_s

    def check(self) -> None:
        """Raise WrapperError if it is used up."""
        if time.process_time() > self._end:
            raise WrapperError(f"takes longer than {self._limit_s:g} s to read")


def look_up(document: Mapping[str, Any], reference: Any) -> Any:
    """Return the target of a ``$ref`` value: a JSON pointer into ``document``, percent-encoded or not. Raises WrapperError."""
    if not isinstance(reference, str):
        raise WrapperError("a `$ref` is not a string")
    if not reference.startswith("#"):
        raise WrapperError(f"`$ref` {reference[:200]!r} points into another document")
    pointer = reference[1:]
    if pointer and not unquote(pointer).startswith("/"):
        raise WrapperError(f"`$ref` {reference[:200]!r} is not a JSON pointer")
    # First the reading of RFC 6901. Documents also contain "/" percent-encoded inside a name, and "%" not encoded.
    token_lists = (unquote(pointer).split("/"), list(map(unquote, pointer.split("/"))), pointer.split("/"))
    for tokens in token_lists:
        try:
            return _follow_pointer(document, tokens[1:])
        except LookupError:
            continue
    raise WrapperError(f"`$ref` {reference[:200]!r} does not exist")


def _follow_pointer(target: Any, tokens: Iterable[str]) -> Any:
    for token in tokens:
        target = _get_child(target, token.replace("~1", "/").replace("~0", "~"))
    return target


def _get_child(target: Any, token: str) -> Any:
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


def resolve_node(document: Mapping[str, Any], node: Any, label: str) -> Mapping[str, Any]:
    """Return ``node``, or the target of its ``$ref``; keys next to a ``$ref``, and itself, override those of the target.

    ``label`` names the node in errors ("the path item"). Raises WrapperError for an invalid or circular reference.
    """
    maps: list[Any] = []
    for _ in range(_MAX_CHAIN_LENGTH):
        if not isinstance(node, Mapping):
            raise WrapperError(f"{label} is not an object")
        if "$ref" not in node or len(node) > 1:
            maps.append(node)
        if "$ref" not in node:
            return ChainMap(*maps) if len(maps) > 1 else node
        node = look_up(document, node["$ref"])
    raise WrapperError(f"{label} is a circular `$ref`")
