"""Media types, examples, and the response that a specification declares for an operation. Pure."""

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
# A sequence of JSON texts. OpenAPI 3.2 describes them with ``itemSchema``.
_JSON_LINES = frozenset({
    "application/jsonl", "application/jsonlines", "application/x-jsonlines", "application/ndjson", "application/x-ndjson",
    "application/json-seq",
})  # fmt: skip
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+*-]{1,100}/[a-z0-9!#$&^_.+*-]{1,100}")
# The parameters of a media type (RFC 9110, section 5.6.6).
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_PARAMETERS = re.compile(rf'(?:[ \t]*;[ \t]*(?:{_TOKEN}=(?:{_TOKEN}|"[^"\\\x00-\x1f\x7f]*"))?)*[ \t]*')
_MAX_CONTENT_TYPE_LENGTH = 300
_MAX_EXAMPLE_LENGTH = 4096
_SUCCESS = re.compile(r"2([0-9]{2}|XX|xx)")


@dataclass(frozen=True, kw_only=True)
class DeclaredResponse:
    """A successful response: its media type, its schema when it is JSON, and whether it always streams.

    ``others`` are media types that a client gets only when it asks for them.
    """

    content_type: str | None = None
    schema: Any = None
    stream: bool = False
    others: tuple[str, ...] = ()


def read_response(document: Mapping[str, Any], operation: Mapping[str, Any]) -> DeclaredResponse:
    """Return the response of the first successful status that declares a body. Raises WrapperError for invalid nodes."""
    responses = operation.get("responses", {})
    if not isinstance(responses, Mapping):
        raise WrapperError("`responses` is not an object")
    success_statuses = [status for status in sorted(responses) if _SUCCESS.fullmatch(status)]
    contents = []
    for status in success_statuses or [status for status in ("default",) if status in responses]:
        response = resolve_node(document, responses[status], f"response {status[:10]}")
        content = read_content(document, response)
        schemas = {parse_media_type(name): node.get("schema") for name, node in content.items()}
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
        others=tuple(
            name for name in candidates if name != media_type and "*" not in name and not _are_json(name, media_type)
        ),
    )


def _are_json(*media_types: str) -> bool:
    return {*media_types} <= {JSON, "text/json", "*/*", "application/*"}


def is_json(media_type: str) -> bool:
    """Return whether a body of this media type is JSON; ``*/*`` counts as JSON."""
    return media_type in (JSON, "text/json", "*/*", "application/*") or media_type.endswith("+json")


def is_json_lines(media_type: str) -> bool:
    """Return whether a body of this media type is a sequence of JSON texts."""
    return media_type in _JSON_LINES or media_type.endswith("+json-seq")


def is_text(media_type: str) -> bool:
    """Return whether a body of this media type is text: ``text/*`` and XML."""
    return media_type.startswith("text/") or media_type == "application/xml" or media_type.endswith("+xml")


def read_content(document: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return ``content`` of an object of OpenAPI 3: media type with its parameters → its object (schema, encoding).

    References to media types are followed (OpenAPI 3.2). Names that are not a media type are left out.
    """
    content = node.get("content", {})
    if not isinstance(content, Mapping):
        raise WrapperError("`content` is not an object")
    nodes: dict[str, Mapping[str, Any]] = {}
    for name, value in content.items():
        if content_type := normalise_content_type(name):
            value = value if isinstance(value, Mapping) else {}
            nodes[content_type] = resolve_node(document, value, f"the media type {content_type}")
    return nodes


def add_example(document: Mapping[str, Any], schema: Any, node: Mapping[str, Any]) -> Any:
    """Return ``schema`` with the first example of ``node``, a media type or parameter, if it is small.

    It overrides the examples of the schema, as OpenAPI says.
    """
    example = _find_example(document, node)
    if example is None or not isinstance(schema, Mapping):
        return schema
    if len(json.dumps(example, default=str)) > _MAX_EXAMPLE_LENGTH:
        return schema
    rest = {key: value for key, value in schema.items() if key not in ("example", "examples")}
    return {**({"allOf": [rest]} if "$ref" in rest else rest), "examples": [example]}


def _find_example(document: Mapping[str, Any], node: Mapping[str, Any]) -> Any:
    """Return ``example``, the first value in ``examples``, or that of the extensions for Swagger 2.0; or None."""
    for key in ("example", "x-example"):
        if node.get(key) is not None:
            return node[key]
    for key in ("examples", "x-examples"):
        examples = node.get(key)
        for candidate in examples.values() if isinstance(examples, Mapping) else ():
            value = _read_example(document, candidate, is_object=key == "examples")
            if value is not None:
                return value
    return None


def _read_example(document: Mapping[str, Any], candidate: Any, *, is_object: bool) -> Any:
    """Return the value of one example: an Example Object, or in ``x-examples`` possibly the value itself."""
    try:
        example = resolve_node(document, candidate, "an example") if isinstance(candidate, Mapping) else None
    except WrapperError:
        return None
    if example is None:
        return None if is_object else candidate
    value = example.get("value", example.get("dataValue"))
    return candidate if value is None and not is_object else value


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
    media_type = text[:_MAX_CONTENT_TYPE_LENGTH].split(";")[0].strip().lower()
    return media_type if _MEDIA_TYPE.fullmatch(media_type) else ""


def normalise_content_type(text: str) -> str:
    """Return a media type with its parameters as declared; without them when they are invalid. Empty when it is invalid."""
    media_type, parameters = parse_media_type(text), text.strip()[len(text.split(";")[0].strip()) :]
    if not media_type or len(text) > _MAX_CONTENT_TYPE_LENGTH or not _PARAMETERS.fullmatch(parameters):
        return media_type
    return media_type + parameters.rstrip(" \t;")
