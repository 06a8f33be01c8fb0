"""The OpenAPI document of a chute, for the page. Pure.

It describes what callers send, except for uploads. The page has file inputs, so a body with files is described as a
multipart form. ``static/page.js`` sends it as the JSON that the platform accepts (PLATFORM.md, section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chutes_wrappers.core.platform_rules import BODILESS_METHODS
from chutes_wrappers.emulator.records import ChuteRecord, CordRecord
from chutes_wrappers.host.public_schemas import Components

_JSON = "application/json"
_FORM = "multipart/form-data"
_FILE = {"type": "string", "format": "binary"}


def build_document(chute: ChuteRecord, url: str) -> dict[str, Any]:
    """Return OpenAPI 3.1 of the public calls of ``chute``. The page sends them to paths below ``url``."""
    components = Components()
    paths: dict[str, dict[str, Any]] = {}
    for cord in chute.cords:
        # The platform uses the first of two cords with one path and method.
        operations = paths.setdefault(cord.public_api_path, {})
        operations.setdefault(cord.public_api_method.lower(), _build_operation(cord, components))
    return {
        "openapi": "3.1.0",
        "info": {"title": chute.name, "version": chute.version},
        "servers": [{"url": url}],
        "paths": paths,
        "components": {"schemas": components.schemas},
    }


def _build_operation(cord: CordRecord, components: Components) -> dict[str, Any]:
    schema = cord.input_schema or cord.minimal_input_schema
    public_schema = components.add_schema(schema) if schema else {"type": "object"}
    media_type = "text/event-stream" if cord.stream else cord.output_content_type or _JSON
    return {
        "operationId": cord.function,
        **(
            _build_query_parameters(public_schema)
            if cord.public_api_method in BODILESS_METHODS
            else _build_request_body(public_schema)
        ),
        "responses": {"200": {"description": "The response of the service.", "content": {media_type: {}}}},
    }


def _build_query_parameters(schema: Any) -> dict[str, Any]:
    required = schema.get("required", [])
    return {
        "parameters": [
            {"name": name, "in": "query", "required": name in required, "explode": False, "schema": child}
            for name, child in _collect_properties(schema).items()
        ]
    }


def _build_request_body(schema: Any) -> dict[str, Any]:
    if _is_file(schema):
        # A body of raw bytes: {"data": base64}.
        data = {"type": "object", "properties": {"data": _FILE}, "required": ["data"]}
        return {"requestBody": {"required": True, "content": {_FORM: {"schema": data}}}, "x-bytes": True}
    properties = _collect_properties(schema)
    if not any(_is_file(child) or _is_file_array(child) for child in properties.values()):
        return {"requestBody": {"required": True, "content": {_JSON: {"schema": schema}}}}
    form: dict[str, Any] = {
        "type": "object",
        "properties": {name: _build_form_field(child) for name, child in properties.items()},
    }
    form |= {"required": schema["required"]} if schema.get("required") else {}
    return {"requestBody": {"required": True, "content": {_FORM: {"schema": form}}}}


def _collect_properties(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        return {}
    combined = [child for part in schema.get("allOf", ()) for child in _collect_properties(part).items()]
    return {**dict(combined), **schema.get("properties", {})}


def _build_form_field(schema: Any) -> Any:
    if _is_file(schema):
        return _FILE
    return {"type": "array", "items": _FILE} if _is_file_array(schema) else schema


def _is_file(schema: Any) -> bool:
    """Whether the value is a file: an object with base64 in its ``data`` (``core/body_schemas.py``)."""
    candidates = [schema, *(schema.get("anyOf", ()) if isinstance(schema, Mapping) else ())]
    return any(
        _collect_properties(candidate).get("data", {}).get("contentEncoding") == "base64" for candidate in candidates
    )


def _is_file_array(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "array" and _is_file(schema.get("items"))
