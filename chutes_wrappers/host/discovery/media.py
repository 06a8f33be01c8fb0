"""How an operation's body and answer travel, as its specification declares it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.discovery.references import resolve

EVENT_STREAM = "text/event-stream"
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+*-]{1,100}/[a-z0-9!#$&^_.+*-]{1,100}")
_SUCCESS = re.compile(r"2([0-9]{2}|XX|xx)")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a successful answer is: its media type, its schema when it is JSON, and whether it always streams."""

    content_type: str | None = None
    schema: Any = None
    stream: bool = False


def body_schema(document: Mapping[str, Any], operation: Mapping[str, Any], parameters: list[dict[str, Any]]) -> Any:
    """The schema of the JSON body, or None: no body, or none that is JSON."""
    for parameter in parameters:  # Swagger 2.0
        if parameter.get("in") == "body":
            return parameter.get("schema")
    if "requestBody" not in operation:
        return None
    content = _content(resolve(document, operation["requestBody"], "the request body"))
    return next((schema for media_type, schema in content.items() if is_json(media_type)), None)


def answer(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Answer:
    """The answer of the first successful status that declares a body."""
    responses = operation.get("responses", {})
    if not isinstance(responses, Mapping):
        raise WrapperError("`responses` is not an object")
    successes = [status for status in sorted(responses) if _SUCCESS.fullmatch(status)]
    contents = []
    for status in successes or [status for status in ("default",) if status in responses]:
        response = resolve(document, responses[status], f"response {status[:10]}")
        content = _content(response) or _swagger_content(document, operation, response)
        if content:
            contents.append(content)
    return _answer(contents)


def _answer(contents: list[dict[str, Any]]) -> Answer:
    if not contents:
        return Answer()
    if all(set(content) == {EVENT_STREAM} for content in contents):
        return Answer(content_type=EVENT_STREAM, stream=True)
    first = contents[0]
    media_type = next((name for name in first if is_json(name)), next(iter(first)))
    return Answer(
        content_type=media_type if "*" not in media_type else None,
        schema=first[media_type] if is_json(media_type) else None,
    )


def is_json(media_type: str) -> bool:
    """Whether a body of this media type is JSON; ``*/*`` is taken as JSON."""
    return media_type in ("application/json", "*/*", "application/*") or media_type.endswith("+json")


def _content(node: Mapping[str, Any]) -> dict[str, Any]:
    """Media type → schema, of a request body or a response of OpenAPI 3."""
    content = node.get("content", {})
    if not isinstance(content, Mapping):
        raise WrapperError("`content` is not an object")
    types = {_media_type(name): value for name, value in content.items()}
    return {name: value.get("schema") if isinstance(value, Mapping) else None for name, value in types.items() if name}


def _swagger_content(
    document: Mapping[str, Any], operation: Mapping[str, Any], response: Mapping[str, Any]
) -> dict[str, Any]:
    produces = operation.get("produces", document.get("produces")) if "swagger" in document else None
    if not isinstance(produces, list):
        return {"application/json": response["schema"]} if "schema" in response else {}
    types = (_media_type(name) for name in produces if isinstance(name, str))
    return {name: response.get("schema") for name in types if name}


def _media_type(text: str) -> str:
    """The media type without parameters and in lower case; empty when it is none."""
    bare = text[:300].split(";")[0].strip().lower()
    return bare if _MEDIA_TYPE.fullmatch(bare) else ""
