"""JSON Schema of the bodies that callers of a chute send in JSON's place: files, texts and bytes."""

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


def build_fallback_schema(request: RequestFormat | None) -> dict[str, Any] | None:
    """What the way that a body travels says of it, where nobody described it: its files, its text, its bytes; or None."""
    if request is None:
        return None
    if request.encoding == "multipart" and request.files:
        return {"type": "object", "properties": dict.fromkeys(request.files, FILE)}
    return {"text": TEXT, "binary": BINARY}.get(request.encoding)
