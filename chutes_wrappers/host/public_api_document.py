"""The OpenAPI 3.1 document of a public chute: what its callers really send and get. Pure.

Public paths and methods, JSON bodies, query parameters where the call is a GET, and the media types of the answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from chutes_wrappers.core.body_schemas import schema_of
from chutes_wrappers.core.cord_plan import CordPlan, PlannedCord
from chutes_wrappers.core.routes import Collection, Route
from chutes_wrappers.host.public_schemas import Components

_EVENT_STREAM = "text/event-stream"
_JSON = "application/json"
_LONGEST_SLUG = 58
# PLATFORM.md, section 3: the platform puts its own words before what the chute says.
_REFUSED = {
    "description": "The call is refused, or the service answered with an error: the text names its status and its answer.",
    "content": {_JSON: {"schema": {"type": "object", "properties": {"detail": {}}}}},
}
_A_LIST = 'Values separated by commas; as JSON text (["a,b"]) where one of them holds a comma.'
_BUSY = {"description": "Every instance is busy, or the service is still starting: try again."}


def describe_api(plan: CordPlan, *, name: str, version: str) -> str:
    """The document as JSON text, the same for equal plans. ``name`` and ``version`` are those of the chute."""
    components = Components()
    calls: dict[tuple[str, str], list[PlannedCord]] = {}
    for cord in plan.cords:
        calls.setdefault((cord.public_path, cord.public_method), []).append(cord)
    paths: dict[str, Any] = {}
    for path, method in sorted(calls):
        paths.setdefault(path, {})[method.lower()] = _operation(calls[path, method], method, components)
    document = {
        "openapi": "3.1.0",
        "info": {"title": name, "version": version or "1"},
        "servers": [{"url": "https://{host}", "variables": {"host": {"default": f"USERNAME-{_slug(name)}.chutes.ai"}}}],
        "security": [{"api_key": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.schemas.items())),
            "securitySchemes": {"api_key": {"type": "http", "scheme": "bearer", "description": "An API key: cpk_…"}},
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _slug(name: str) -> str:
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")[:_LONGEST_SLUG]


def _operation(cords: list[PlannedCord], method: str, components: Components) -> dict[str, Any]:
    cord = cords[0]
    route = cord.route
    schema = components.take(route.input_schema or schema_of(route.request) or {"type": "object"})
    return {
        "operationId": cord.function_name,
        **({"summary": route.summary} if route.summary else {}),
        "description": f"Calls {route.upstream_method} {route.target_path} of the service on port {cord.port}.",
        **(_query(route, schema) if method == "GET" else _body(schema)),
        "responses": {"200": _answer(cords, components), "400": _REFUSED, "429": _BUSY},
    }


def _body(schema: Any) -> dict[str, Any]:
    """The platform wants an object, be it empty."""
    return {"requestBody": {"required": True, "content": {_JSON: {"schema": schema}}}}


def _query(route: Route, schema: Any) -> dict[str, Any]:
    properties = _properties(schema)
    needed = {each.name for each in route.parameters if each.required or each.place == "path"}
    types = {each.name: each.type for each in reversed(route.parameters)}
    parameters = [
        {"name": name, "in": "query", "required": name in needed, **_value(types[name], properties.get(name, {}))}
        for name in dict.fromkeys(each.name for each in route.parameters)
    ]
    return {"parameters": parameters} if parameters else {}


def _value(type: Collection | None, schema: Any) -> dict[str, Any]:
    """How a value is written in the query string; of a repeated key the platform keeps the last only."""
    if type == "object":
        return {"content": {_JSON: {"schema": schema}}}
    return {"explode": False, "schema": schema, **({"description": _A_LIST} if type == "array" else {})}


def _properties(schema: Any) -> dict[str, Any]:
    own: dict[str, Any] = schema.get("properties", {})
    beside: Iterable[Any] = schema.get("allOf", ())
    return {**{name: child for each in beside for name, child in _properties(each).items()}, **own}


def _answer(cords: Iterable[PlannedCord], components: Components) -> dict[str, Any]:
    content = {}
    for cord in cords:
        hint = cord.route.response.content_type if cord.route.response else ""
        kind = _EVENT_STREAM if cord.stream else hint or _JSON
        has_schema = not cord.stream and cord.route.output_schema is not None
        content[kind] = {"schema": components.take(cord.route.output_schema or {})} if has_schema else {}
    return {"description": "What the service answered.", "content": content}
