"""Parse the bytes of a response into a document, or raise an error that says what they are instead. Pure and bounded.

YAML is built from the parser's events without recursion. Aliases are counted before they can multiply. Scalars follow
the JSON schema of YAML 1.2, as OpenAPI requires: ``on`` is a string, and so is ``2020-01-01``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from chutes_wrappers.core.errors import WrapperError

MAX_DOCUMENT_BYTES = 48 * 1024**2
MAX_YAML_BYTES = 4 * 1024**2
MAX_YAML_NODES = 500_000
MAX_YAML_DEPTH = 200

# Of an integer of 64 bits, with its sign.
_MAX_DIGITS = 20
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_INTEGER = re.compile(r"[-+]?[0-9]{1,400}")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def parse_document(data: bytes, content_type: str = "") -> dict[str, Any]:
    """Return the JSON or YAML object in ``data``. Raises WrapperError, which says what the data is instead.

    Every string of the result can be encoded as UTF-8, and every number is finite.
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        raise WrapperError(f"is larger than {MAX_DOCUMENT_BYTES // 1024**2} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WrapperError("is not UTF-8 text") from error
    head = text[:200].lstrip().lower()
    if not head:
        raise WrapperError("is empty")
    if head.startswith("<"):
        raise WrapperError("is XML, not a specification" if head.startswith("<?xml") else "is an HTML page")
    is_json = head.startswith(("{", "[")) and "yaml" not in content_type.lower()
    document = _parse_json(text) if is_json else _parse_yaml(text)
    if not isinstance(document, dict):
        raise WrapperError("is not a JSON or YAML object")
    return document


def _parse_json(text: str) -> Any:
    try:
        value = json.loads(
            text,
            parse_constant=lambda _: None,
            parse_float=_parse_finite,
            parse_int=_parse_integer,
            object_pairs_hook=_build_object,
        )
        if _SURROGATE_ESCAPE.search(text):  # a lone surrogate cannot be encoded as UTF-8; it becomes "?"
            value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except RecursionError as error:
        raise WrapperError("is nested too deeply") from error
    except ValueError as error:
        raise WrapperError(f"is not valid JSON: {error}") from error
    return value


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object. A duplicate path gets the operations of both; of any other duplicate key the last value counts."""
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    result = {}
    for key, value in pairs:
        previous = result.get(key) if key.startswith("/") else None
        result[key] = {**previous, **value} if isinstance(previous, dict) and isinstance(value, dict) else value
    return result


def _parse_integer(text: str) -> float | None:
    """Return an integer; a float if it has more than 64 bits, which the SDK's JSON cannot have: no chute could be deployed."""
    number = int(text) if len(text) <= _MAX_DIGITS else None
    return number if number is not None and -(2**63) <= number < 2**64 else _parse_finite(text)


def _parse_finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


@dataclass
class _Node:
    """A YAML collection that is still open: its children so far, and ``weight``, the number of values in it.

    The children of a mapping alternate: key, value, key, …
    """

    is_mapping: bool
    anchor: str | None
    children: list[Any] = field(default_factory=list)
    weight: int = 1


def _parse_yaml(text: str) -> Any:
    import yaml

    if len(text) > MAX_YAML_BYTES:
        raise WrapperError(f"is YAML larger than {MAX_YAML_BYTES // 1024**2} MiB")
    try:
        return _build_from_events(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.YAMLError as error:
        if "maximum nesting depth" in str(error):  # the limit of PyYAML 6.0.4 and newer
            raise WrapperError("is nested too deeply") from error
        raise WrapperError(f"is neither JSON nor YAML: {' '.join(str(error).split())[:300]}") from error


def _build_from_events(events: Iterator[Any]) -> Any:
    import yaml

    root_node = _Node(is_mapping=False, anchor=None)
    open_nodes = [root_node]
    anchors: dict[str, tuple[Any, int]] = {}
    value: Any
    for event in events:
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            if len(open_nodes) > MAX_YAML_DEPTH:
                raise WrapperError("is nested too deeply")
            open_nodes.append(_Node(is_mapping=isinstance(event, yaml.MappingStartEvent), anchor=event.anchor))
            continue
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            node = open_nodes.pop()
            value, weight, anchor = (
                (_build_mapping(node) if node.is_mapping else node.children),
                node.weight,
                node.anchor,
            )
        elif isinstance(event, yaml.ScalarEvent):
            value, weight, anchor = _parse_scalar(event.value, plain=bool(event.implicit[0])), 1, event.anchor
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise WrapperError(f"uses the YAML alias *{str(event.anchor)[:50]} before its anchor is complete")
            (value, weight), anchor = anchors[str(event.anchor)], None
        else:
            continue
        if anchor:
            anchors[anchor] = value, weight
        open_nodes[-1].children.append(value)
        open_nodes[-1].weight += weight
        if open_nodes[-1].weight > MAX_YAML_NODES:
            raise WrapperError(f"is YAML with more than {MAX_YAML_NODES:,} values, aliases included")
    if len(root_node.children) != 1:
        raise WrapperError(f"contains {len(root_node.children)} YAML documents, not one")
    return root_node.children[0]


def _parse_scalar(text: str, *, plain: bool) -> Any:
    if plain:
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _INTEGER.fullmatch(text):
            return _parse_integer(text)
        if _NUMBER.fullmatch(text):
            return _parse_finite(text)
    return text.encode("utf-8", "replace").decode("utf-8")


def _build_mapping(node: _Node) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    pairs: list[tuple[str, Any]] = []
    for key, value in zip(node.children[::2], node.children[1::2], strict=True):
        if isinstance(key, (dict, list)):
            raise WrapperError("has a YAML key that is not a string")
        if key == "<<":
            for other in value if isinstance(value, list) else [value]:
                if isinstance(other, dict):
                    merged = {**other, **merged}
        else:
            pairs.append((_format_key(key), value))
    return {**merged, **_build_object(pairs)}


def _format_key(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(key)
