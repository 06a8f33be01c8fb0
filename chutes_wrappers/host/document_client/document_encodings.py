"""Encoding Objects: the formats of the fields of a form, a multipart body or a query string. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chutes_wrappers.host.document_client.document_nodes import Nodes, get_list, get_mapping, get_text
from chutes_wrappers.host.document_client.operation import ValueFormat

_STYLE_KEYS = frozenset({"style", "explode", "allowReserved"})


def read_encodings(nodes: Nodes, media: Mapping[str, Any]) -> dict[str, ValueFormat]:
    """Return the formats that a Media Type Object declares for its fields, by their names."""
    return {name: _read_encoding(nodes, nodes.resolve(node)) for name, node in get_mapping(media, "encoding").items()}


def read_part_encodings(nodes: Nodes, media: Mapping[str, Any]) -> dict[str, ValueFormat]:
    """Return the formats of the parts of a multipart body: with styles since OpenAPI 3.1, and of encoded text as bytes."""
    has_styles = not get_text(nodes.document, "openapi").startswith("3.0")
    ignored = frozenset() if has_styles else _STYLE_KEYS
    entries = {name: nodes.resolve(node) for name, node in get_mapping(media, "encoding").items()}
    formats = {
        name: _read_encoding(nodes, {key: value for key, value in node.items() if key not in ignored})
        for name, node in entries.items()
    }
    for name, schema in nodes.find_properties(media.get("schema")).items():
        has_encoding = any(get_text(part, "contentEncoding") for part in nodes.iterate_parts(schema))
        if has_encoding and not {"contentType", *_STYLE_KEYS} & entries.get(name, {}).keys():
            formats[name] = replace(formats.get(name, ValueFormat()), content_type="application/octet-stream")
    return formats


def _read_encoding(nodes: Nodes, node: Mapping[str, Any]) -> ValueFormat:
    explode, has_style = node.get("explode"), bool(_STYLE_KEYS & node.keys())
    headers = {name: _find_header_value(nodes.resolve(header)) for name, header in get_mapping(node, "headers").items()}
    return ValueFormat(
        style=get_text(node, "style"),
        explode=explode if isinstance(explode, bool) else None,
        allow_reserved=node.get("allowReserved") is True,
        content_type="" if has_style else get_text(node, "contentType"),
        headers={name: text for name, text in headers.items() if text and name.lower() != "content-type"},
    )


def _find_header_value(header: Mapping[str, Any]) -> str:
    """Return the only value that a declared header of a part can have in a client without values for it."""
    schema = get_mapping(header, "schema")
    values = [schema[key] for key in ("const", "default", "example") if key in schema] or get_list(schema, "enum")
    value = header.get("example", values[0] if values else "")
    return str(value) if isinstance(value, (str, int, float)) else ""
