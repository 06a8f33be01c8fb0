"""Encoding Objects: how each field of an urlencoded or multipart body is sent, of OpenAPI 3 and Swagger 2.0. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, get_args

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.routes import PartFormat, Style
from chutes_wrappers.host.discovery import declared_media
from chutes_wrappers.host.discovery.collection_formats import read_collection_format
from chutes_wrappers.host.discovery.references import resolve_node
from chutes_wrappers.host.discovery.shapes import Shapes

_MAX_PARTS = 500
_MAX_DEPTH = 10
_BYTES = "application/octet-stream"
_PLAIN = "text/plain"
# The media types besides JSON in which the gateway writes objects; of none, it is JSON or has a style.
_WRITTEN = ("application/x-www-form-urlencoded", _PLAIN, "")
_STYLES: tuple[Style, ...] = ("form", "spaceDelimited", "pipeDelimited", "deepObject")
_POSITIONAL = ("prefixEncoding", "itemEncoding")
# OpenAPI gives Content-Type a field of its own; the gateway makes the other one of the field's name.
_OWN_HEADERS = frozenset({"content-type", "content-disposition"})
Parts = tuple[dict[str, PartFormat], list[str]]


def read_part_formats(
    document: Mapping[str, Any],
    shapes: Shapes,
    node: Mapping[str, Any],
    *,
    files: Collection[str],
    is_multipart: bool,
) -> Parts:
    """Return the formats of the fields of the form ``node``, a media type object, and notes on what is not sent.

    Fields of text without a declared type, and files of any type, have no format. ``files`` are the file fields.
    """
    encoding = node.get("encoding", {})
    notes = [f"`{key}` left out: only named parts are sent" for key in _POSITIONAL if key in node]
    if not isinstance(encoding, Mapping):
        return {}, [*notes, "`encoding` left out: it is not an object"]
    properties = shapes.find_properties(node.get("schema"))
    has_styles = not is_multipart or str(document.get("openapi", ""))[:3] not in ("3.0", "2.0", "")
    formats: dict[str, PartFormat] = {}
    for name in list(dict.fromkeys((*properties, *encoding)))[:_MAX_PARTS]:
        entry = encoding.get(name, {})
        if not isinstance(entry, Mapping):
            notes.append(f"the encoding of field `{name[:100]}` left out: it is not an object")
            entry = {}
        # ASP.NET's generator gives files a style, too; a file has none.
        fields, problems = _read_style(entry) if has_styles and name not in files else ({}, [])
        if is_multipart:
            headers, header_problems = _read_headers(document, entry)
            fields |= {"headers": headers}
            problems += [*header_problems, *(f"`{key}` left out" for key in ("encoding", *_POSITIONAL) if key in entry)]
        if "style" not in fields:
            content_type = _read_content_type(entry, is_file=name in files)
            if not content_type and is_multipart and name not in files and "contentType" not in entry:
                content_type = _find_default_content_type(shapes, properties.get(name))
            fields["content_type"] = "" if content_type == _PLAIN and not is_multipart else content_type
            if _is_unwritten(shapes, properties.get(name), content_type):
                problems.append(f"no {content_type[:100]} is made of an object: callers send its text")
        notes += [f"field `{name[:100]}`: {problem}" for problem in problems]
        if any(fields.values()):
            formats[name] = PartFormat.model_validate(fields)
    return formats, notes


def read_swagger_formats(fields: Iterable[Mapping[str, Any]], files: Collection[str]) -> Parts:
    """Return the formats of the ``formData`` parameters of Swagger 2.0: lists are csv unless they say otherwise."""
    formats: dict[str, PartFormat] = {}
    notes: list[str] = []
    for field in fields:
        if field.get("type") == "array" and field["name"] not in files:
            style, explode, problems = read_collection_format(field)
            notes += [f"field `{field['name'][:100]}`: {problem}" for problem in problems]
            if not explode:
                formats[field["name"]] = PartFormat(style=style or "form", explode=False)
    return formats, notes


def _read_style(entry: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the fields of a format that the query's styles describe, and notes. ``style`` is set if there is any."""
    style, explode = entry.get("style"), entry.get("explode")
    problems = []
    if style is not None and style not in _STYLES:
        problems.append(f"style {str(style)[:50]!r} is not one of {', '.join(_STYLES)}: sent as form")
        style = "form"
    if explode is not None and not isinstance(explode, bool):
        problems.append("`explode` is not a boolean: the default is used")
        explode = None
    is_reserved_allowed = entry.get("allowReserved") is True
    if style is None and explode is None and not is_reserved_allowed:
        return {}, problems
    style = style or "form"
    assert style in get_args(Style)
    explode = None if explode is (style == "form") else explode
    return {"style": style, "explode": explode, "allow_reserved": is_reserved_allowed}, problems


def _read_content_type(entry: Mapping[str, Any], *, is_file: bool) -> str:
    """Return the media type that is sent with a field: the first; for a file, the only one. Empty for a range."""
    value = entry.get("contentType")
    names = value.split(",") if isinstance(value, str) else []
    content_types = [text for text in map(declared_media.normalise_content_type, names) if text]
    if is_file and len(content_types) > 1:
        return ""
    return next((text for text in content_types if "*" not in text), "")


def _find_default_content_type(shapes: Shapes, schema: Any, depth: int = 0) -> str:
    """Return the media type of a part whose encoding names none (OpenAPI 3.1.1, Encoding Object); empty for text.

    A string with ``contentMediaType`` is text: it contains JSON, for instance, as the caller wrote it.
    """
    types = shapes.find_types(schema) - {"null"}
    if types == {"object"}:
        return declared_media.JSON
    parts = list(shapes.iterate_parts(schema)) if types in ({"array"}, {"string"}) else []
    if types == {"array"} and depth < _MAX_DEPTH:  # each item is a part
        items = next((part["items"] for part in parts if "items" in part), None)
        return _find_default_content_type(shapes, items, depth + 1)
    return _BYTES if any(isinstance(part.get("contentEncoding"), str) for part in parts) else ""


def _is_unwritten(shapes: Shapes, schema: Any, content_type: str) -> bool:
    """Return whether a field is an object, and the gateway writes none in its media type."""
    media_type = declared_media.parse_media_type(content_type)
    is_object = _find_default_content_type(shapes, schema) == declared_media.JSON
    return is_object and not declared_media.is_json(media_type) and media_type not in _WRITTEN


def _read_headers(document: Mapping[str, Any], entry: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Return the headers of a part whose value the document fixes, and notes on the others."""
    nodes = entry.get("headers", {})
    if not isinstance(nodes, Mapping):
        return {}, ["`headers` left out: it is not an object"]
    headers, problems = {}, []
    for name, node in nodes.items():
        if name.lower() in _OWN_HEADERS:
            continue
        value = _find_fixed_value(document, node)
        if value is None:
            problems.append(
                f"header `{name[:100]}` of the part left out: no default, const or single enum value is declared"
            )
        else:
            headers[name] = value
    return headers, problems


def _find_fixed_value(document: Mapping[str, Any], node: Any) -> str | None:
    try:
        header = resolve_node(document, node, "a header")
        schema = resolve_node(document, header.get("schema", header), "a schema")
    except WrapperError:
        return None
    values: Sequence[Any] = schema["enum"] if isinstance(schema.get("enum"), list) else ()
    value = schema.get("const", schema.get("default", values[0] if len(values) == 1 else None))
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or not str(value).isprintable():
        return None
    return str(value)
