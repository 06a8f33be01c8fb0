"""Media types, and the response that a specification declares for an operation. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.discovery.references import resolve_node

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+*-]{1,100}/[a-z0-9!#$&^_.+*-]{1,100}")
_MAX_EXAMPLE_LENGTH = 4096
_SUCCESS = re.compile(r"2([0-9]{2}|XX|xx)")


@dataclass(frozen=True, kw_only=True)
class DeclaredResponse:
    """A successful response: its media type, its schema when it is JSON, and whether it always streams."""

    content_type: str | None = None
    schema: Any = None
    stream: bool = False


def read_response(document: Mapping[str, Any], operation: Mapping[str, Any]) -> DeclaredResponse:
    """Return the response of the first successful status that declares a body. Raises WrapperError for invalid nodes."""
    responses = operation.get("responses", {})
    if not isinstance(responses, Mapping):
        raise WrapperError("`responses` is not an object")
    success_statuses = [status for status in sorted(responses) if _SUCCESS.fullmatch(status)]
    contents = []
    for status in success_statuses or [status for status in ("default",) if status in responses]:
        response = resolve_node(document, responses[status], f"response {status[:10]}")
        schemas = {name: node.get("schema") for name, node in read_content(response).items()}
        schemas = schemas or _read_swagger_schemas(document, operation, response)
        if schemas:
            contents.append(schemas)
    return _select_response(contents)


def _select_response(contents: list[dict[str, Any]]) -> DeclaredResponse:
    if not contents:
        return DeclaredResponse()
    if all(set(content) == {EVENT_STREAM} for content in contents):
        return DeclaredResponse(content_type=EVENT_STREAM, stream=True)
    first_content = next(content for content in contents if set(content) != {EVENT_STREAM})
    candidates = [name for name in first_content if name != EVENT_STREAM]
    media_type = next((name for name in candidates if is_json(name)), candidates[0])
    return DeclaredResponse(
        content_type=media_type if "*" not in media_type else None,
        schema=first_content[media_type] if is_json(media_type) else None,
    )


def is_json(media_type: str) -> bool:
    """Return whether a body of this media type is JSON; ``*/*`` counts as JSON."""
    return media_type in (JSON, "text/json", "*/*", "application/*") or media_type.endswith("+json")


def is_text(media_type: str) -> bool:
    """Return whether a body of this media type is text: ``text/*`` and XML."""
    return media_type.startswith("text/") or media_type == "application/xml" or media_type.endswith("+xml")


def read_content(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``content`` of a request body or a response of OpenAPI 3: media type → its object (schema, encoding)."""
    content = node.get("content", {})
    if not isinstance(content, Mapping):
        raise WrapperError("`content` is not an object")
    nodes = {parse_media_type(name): value if isinstance(value, Mapping) else {} for name, value in content.items()}
    return {name: value for name, value in nodes.items() if name}


def add_example(schema: Any, node: Mapping[str, Any]) -> Any:
    """Return ``schema`` with the example from ``node`` (``example``, or the first of ``examples``), if it is small."""
    examples = node.get("examples")
    first_example = next(iter(examples.values()), None) if isinstance(examples, Mapping) else None
    first_value = first_example.get("value") if isinstance(first_example, Mapping) else None
    example = node.get("example", first_value)
    if example is None or not isinstance(schema, Mapping) or schema.keys() & {"example", "examples"}:
        return schema
    if len(json.dumps(example, default=str)) > _MAX_EXAMPLE_LENGTH:
        return schema
    return {**({"allOf": [schema]} if "$ref" in schema else schema), "examples": [example]}


def _read_swagger_schemas(
    document: Mapping[str, Any], operation: Mapping[str, Any], response: Mapping[str, Any]
) -> dict[str, Any]:
    produces = operation.get("produces", document.get("produces")) if "openapi" not in document else None
    if not isinstance(produces, list):
        return {JSON: response["schema"]} if "schema" in response else {}
    types = (parse_media_type(name) for name in produces if isinstance(name, str))
    return {name: response.get("schema") for name in types if name}


def parse_media_type(text: str) -> str:
    """Return the media type in lower case without parameters; empty when it is not a valid media type."""
    media_type = text[:300].split(";")[0].strip().lower()
    return media_type if _MEDIA_TYPE.fullmatch(media_type) else ""
