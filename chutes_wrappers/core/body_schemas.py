"""JSON Schema for the request bodies that callers send in place of plain JSON: files, text, binary data, JSON lines."""

from __future__ import annotations

from typing import Any

from chutes_wrappers.core.routes import RequestFormat

_BASE64 = {"type": "string", "contentEncoding": "base64"}
FILE: dict[str, Any] = {
    "description": "A file: an object, or a data: URI.",
    "anyOf": [
        {
            "type": "object",
            "properties": {"filename": {"type": "string"}, "content_type": {"type": "string"}, "data": _BASE64},
            "required": ["data"],
        },
        {"type": "string", "format": "uri"},
    ],
}
TEXT: dict[str, Any] = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "content_type": {"type": "string"}},
    "required": ["text"],
}
BINARY: dict[str, Any] = {
    "type": "object",
    "properties": {"data": _BASE64, "content_type": {"type": "string"}},
    "required": ["data"],
}
LINES: dict[str, Any] = {"type": "object", "properties": {"body": {"type": "array"}}, "required": ["body"]}


def build_fallback_schema(request: RequestFormat | None) -> dict[str, Any] | None:
    """Return the schema implied by the request encoding, for a body without a declared schema.

    It describes files, text, binary data or JSON lines; None for any other body.
    """
    if request is None:
        return None
    if request.encoding == "multipart" and request.files:
        return {"type": "object", "properties": dict.fromkeys(request.files, FILE)}
    return {"text": TEXT, "binary": BINARY, "lines": LINES}.get(request.encoding)
