"""The request body of an operation, read from its document as a client of the service does. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chutes_wrappers.host.document_client.declared_examples import list_examples
from chutes_wrappers.host.document_client.document_encodings import read_encodings, read_part_encodings
from chutes_wrappers.host.document_client.document_nodes import Nodes, get_mapping, get_text
from chutes_wrappers.host.document_client.document_parameters import list_parameter_nodes
from chutes_wrappers.host.document_client.operation import BodyKind, OperationBody, ValueFormat

_FORM = "application/x-www-form-urlencoded"
_MULTIPART = ("multipart/form-data", "application/form-data")
_LINES = (
    "application/jsonl",
    "application/x-ndjson",
    "application/ndjson",
    "application/json-seq",
    "application/x-jsonlines",
)
# The order in which a client that has JSON chooses among the media types of a body.
_ORDER: tuple[BodyKind, ...] = ("json", "multipart", "form")


def read_body(nodes: Nodes, item: Mapping[str, Any], operation: Mapping[str, Any]) -> OperationBody | None:
    """Return the body in the media type that a client with JSON chooses, or None without one."""
    if "requestBody" in operation:
        node = nodes.resolve(operation["requestBody"])
        content = {name: nodes.resolve(media) for name, media in get_mapping(node, "content").items()}
        return _read_content(nodes, content, is_required=node.get("required") is True)
    declared = list_parameter_nodes(nodes, item, operation)
    consumes = operation.get("consumes", nodes.document.get("consumes"))
    types = [name for name in consumes if isinstance(name, str)] if isinstance(consumes, list) else []
    if fields := [node for node in declared if node.get("in") == "formData" and get_text(node, "name")]:
        return _read_form_data(nodes, fields, types)
    body = next((node for node in declared if node.get("in") == "body"), None)
    if body is None:
        return None
    return _read_content(
        nodes, dict.fromkeys(types or ["application/json"], body), is_required=body.get("required") is True
    )


def classify_media_type(name: str) -> BodyKind:
    """Return how a body of this media type is made from a caller's JSON."""
    media_type = _strip_parameters(name)
    if media_type in ("application/json", "text/json", "*/*", "application/*") or media_type.endswith("+json"):
        return "json"
    if media_type in _LINES or media_type.endswith("+json-seq"):
        return "lines"
    if media_type in _MULTIPART or media_type == _FORM:
        return "form" if media_type == _FORM else "multipart"
    is_text = media_type.startswith("text/") or media_type == "application/xml" or media_type.endswith("+xml")
    return "text" if is_text else "binary"


def _strip_parameters(name: str) -> str:
    return name.partition(";")[0].strip().lower()


def _read_content(nodes: Nodes, content: Mapping[str, Mapping[str, Any]], *, is_required: bool) -> OperationBody | None:
    media_types = {name: media for name, media in content.items() if "/" in name}
    if not media_types:
        return None
    name = min(media_types, key=_rank)
    media, kind = media_types[name], classify_media_type(name)
    if _has_named_parts(nodes, name, media):
        kind = "multipart"
    schema = media.get("schema") if kind != "lines" else media.get("itemSchema", media.get("schema"))
    if kind == "json" and "*" in name and _is_binary(nodes, schema):
        kind = "binary"
    files = _find_files(nodes, media) if kind in ("form", "multipart") else None
    if files and kind == "form":
        kind, name = "multipart", ""  # a file cannot be urlencoded
    return OperationBody(
        kind=kind,
        content_type="" if "*" in name or name == _FORM or _strip_parameters(name) in _MULTIPART else name,
        media_range=name if "*" in name else "",
        schema=schema,
        is_wrapped=_is_wrapped(nodes, schema) if kind == "json" else None,
        is_required=is_required,
        files=frozenset(files) if files is not None else None,
        formats=_read_formats(nodes, media, kind),
        examples=tuple(list_examples(nodes, media)),
    )


def _has_named_parts(nodes: Nodes, name: str, media: Mapping[str, Any]) -> bool:
    """Return whether a multipart body of another subtype has a part for each property, rather than parts in an order."""
    is_multipart = _strip_parameters(name).startswith("multipart/") and "*" not in name
    is_positional = bool({"itemSchema", "itemEncoding", "prefixEncoding"} & media.keys())
    return is_multipart and not is_positional and bool(nodes.find_properties(media.get("schema")))


def _read_formats(nodes: Nodes, media: Mapping[str, Any], kind: BodyKind) -> dict[str, ValueFormat]:
    if kind == "multipart":
        return read_part_encodings(nodes, media)
    return read_encodings(nodes, media) if kind == "form" else {}


def _rank(name: str) -> tuple[int, int]:
    kind = classify_media_type(name)
    return (_ORDER.index(kind) if kind in _ORDER else len(_ORDER)), int(kind == "json" and name != "application/json")


def _is_wrapped(nodes: Nodes, schema: Any) -> bool | None:
    """Return whether the value cannot be an object. None: unknown, or an object that is certainly without a field ``body``."""
    types = nodes.find_types(schema)
    if types and "object" not in types:
        return True
    return False if "body" in nodes.find_properties(schema) else None


def _find_files(nodes: Nodes, media: Mapping[str, Any]) -> set[str]:
    encodings = get_mapping(media, "encoding")
    return {
        name
        for name, schema in nodes.find_properties(media.get("schema")).items()
        if _is_file(nodes, schema, get_text(nodes.resolve(encodings.get(name)), "contentType"))
    }


def _is_file(nodes: Nodes, schema: Any, content_type: str) -> bool:
    items = [part.get("items") for part in nodes.iterate_parts(schema)]
    if any(_is_binary(nodes, each) for each in (schema, *items)):
        return True
    kinds = [classify_media_type(name) for name in content_type.split(",") if "/" in name and "*/*" not in name]
    return bool(kinds) and nodes.find_types(schema) == {"string"} and "text" not in kinds and "json" not in kinds


def _is_binary(nodes: Nodes, schema: Any) -> bool:
    return any(
        part.get("format") == "binary"
        or part.get("type") == "file"
        or (part.get("type") == "string" and "contentMediaType" in part and "contentEncoding" not in part)
        for part in nodes.iterate_parts(schema)
    )


def _read_form_data(nodes: Nodes, fields: Iterable[Mapping[str, Any]], types: Iterable[str]) -> OperationBody:
    """Return the form that the ``formData`` parameters of Swagger 2.0 declare."""
    nodes_by_name = {field["name"]: field for field in fields}
    files = {
        name
        for name, field in nodes_by_name.items()
        if _is_binary(nodes, field) or _is_binary(nodes, field.get("items"))
    }
    media_types = [_strip_parameters(name) for name in types]
    is_multipart = bool(files) or (_FORM not in media_types and _MULTIPART[0] in media_types)
    required = [name for name, field in nodes_by_name.items() if field.get("required") is True]
    return OperationBody(
        kind="multipart" if is_multipart else "form",
        schema={"type": "object", "properties": nodes_by_name, "required": required},
        is_required=bool(required),
        files=frozenset(files),
        formats={
            name: _read_collection(field) for name, field in nodes_by_name.items() if field.get("type") == "array"
        },
    )


def _read_collection(field: Mapping[str, Any]) -> ValueFormat:
    collection = get_text(field, "collectionFormat") or "csv"
    styles = {"ssv": "spaceDelimited", "pipes": "pipeDelimited", "tsv": "tabDelimited"}
    return ValueFormat(style=styles.get(collection, "form"), explode=collection == "multi")
