"""The OpenAPI 3.1 document of a public chute: the requests and responses of its callers. Pure.

It contains public paths and methods, JSON bodies, query parameters of GET calls, and media types of responses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from chutes_wrappers.core.body_schemas import build_fallback_schema
from chutes_wrappers.core.cord_plan import CordPlan, PlannedCord
from chutes_wrappers.core.path_templates import find_variables
from chutes_wrappers.core.platform_rules import BODILESS_METHODS, MAX_SLUG_LENGTH
from chutes_wrappers.core.routes import Parameter, Route
from chutes_wrappers.host.public_schemas import Components
from chutes_wrappers.runtime.media_types import is_json

_EVENT_STREAM = "text/event-stream"
_JSON = "application/json"
# PLATFORM.md, section 3: the platform adds a prefix to the error text of the chute.
_ERROR_RESPONSE = {
    "description": "The call was rejected, or the service returned an error: the text contains its status and its response.",
    "content": {_JSON: {"schema": {"type": "object", "properties": {"detail": {}}}}},
}
_LIST_DESCRIPTION = 'Values separated by commas; as JSON text (["a,b"]) if a value contains a comma.'
_CREDENTIAL_DESCRIPTION = (
    "A credential of the service, as its security scheme expects it; not the API key of the platform."
)
_BUSY_RESPONSE = {"description": "Every instance is busy, or the service is still starting: try again."}


def build_api_document(plan: CordPlan, *, name: str, version: str) -> str:
    """Return the document as JSON text, the same for equal plans. ``name`` and ``version`` are those of the chute."""
    components = Components()
    cords_by_call: dict[tuple[str, str], list[PlannedCord]] = {}
    for cord in plan.cords:
        cords_by_call.setdefault((cord.public_path, cord.public_method), []).append(cord)
    paths: dict[str, Any] = {}
    for path, method in sorted(cords_by_call):
        paths.setdefault(path, {})[method.lower()] = _build_operation(cords_by_call[path, method], method, components)
    document = {
        "openapi": "3.1.0",
        "info": {"title": name, "version": version or "1"},
        "servers": [
            {"url": "https://{host}", "variables": {"host": {"default": f"USERNAME-{_build_slug(name)}.chutes.ai"}}}
        ],
        "security": [{"api_key": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.schemas.items())),
            "securitySchemes": {"api_key": {"type": "http", "scheme": "bearer", "description": "An API key: cpk_…"}},
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _build_slug(name: str) -> str:
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")[:MAX_SLUG_LENGTH]


def _build_operation(cords: list[PlannedCord], method: str, components: Components) -> dict[str, Any]:
    cord = cords[0]
    route = cord.route
    schema = components.add_schema(route.input_schema or _build_input_schema(route))
    return {
        "operationId": cord.function_name,
        **({"summary": route.summary} if route.summary else {}),
        "description": f"Calls {route.upstream_method} {route.target_path} of the service on port {cord.port}.",
        **(_build_query_parameters(route, schema) if method in BODILESS_METHODS else _build_request_body(schema)),
        "responses": {"200": _build_response(cords, components), "400": _ERROR_RESPONSE, "429": _BUSY_RESPONSE},
    }


def _build_input_schema(route: Route) -> dict[str, Any]:
    """Return the schema of a call to a route without one: what its encoding implies, and its parameters."""
    schema = build_fallback_schema(route.request) or {"type": "object"}
    names = _find_required_names(route)
    if not names:
        return schema
    required = [name for name, is_required in names.items() if is_required]
    return {
        **schema,
        "properties": {**{name: {} for name in names}, **schema.get("properties", {})},
        "required": [*dict.fromkeys([*schema.get("required", ()), *required])],
    }


def _find_required_names(route: Route) -> dict[str, bool]:
    """Return the caller's key of each parameter, also of undeclared variables of the path, and whether it is required."""
    names: dict[str, bool] = {}
    for parameter in route.parameters:
        is_required = parameter.required or parameter.place == "path"
        names[parameter.name] = names.get(parameter.name, False) or is_required
    declared = {parameter.name for parameter in route.parameters if parameter.place == "path"}
    for variable in find_variables(route.target_path, declared) if route.gradio is None else ():
        names[variable.name] = not variable.is_optional
    return names


def _build_request_body(schema: Any) -> dict[str, Any]:
    """Return a request body, which is always required: the platform expects an object, even if it is empty."""
    return {"requestBody": {"required": True, "content": {_JSON: {"schema": schema}}}}


def _build_query_parameters(route: Route, schema: Any) -> dict[str, Any]:
    properties = _collect_properties(schema)
    declared = {parameter.name: parameter for parameter in reversed(route.parameters)}
    parameters = [
        {
            "name": name,
            "in": "query",
            "required": is_required,
            **_build_value_schema(declared.get(name), properties.get(name, {})),
        }
        for name, is_required in _find_required_names(route).items()
    ]
    return {"parameters": parameters} if parameters else {}


def _build_value_schema(parameter: Parameter | None, schema: Any) -> dict[str, Any]:
    """Return how a value is encoded in the query string; of a repeated key the platform keeps only the last value."""
    collection = parameter.type if parameter else None
    if collection == "object" or (parameter and is_json(parameter.content_type)):
        return {"content": {_JSON: {"schema": schema}}}
    credential = {"description": _CREDENTIAL_DESCRIPTION} if parameter and parameter.credential else {}
    description = {"description": _LIST_DESCRIPTION} if collection == "array" else credential
    return {"explode": False, "schema": schema, **description}


def _collect_properties(schema: Any) -> dict[str, Any]:
    properties: dict[str, Any] = schema.get("properties", {})
    combined_schemas: Iterable[Any] = schema.get("allOf", ())
    return {
        **{
            name: child
            for combined_schema in combined_schemas
            for name, child in _collect_properties(combined_schema).items()
        },
        **properties,
    }


def _build_response(cords: Iterable[PlannedCord], components: Components) -> dict[str, Any]:
    content = {}
    for cord in cords:
        hint = cord.route.response.content_type if cord.route.response else ""
        media_type = _EVENT_STREAM if cord.stream else hint or _JSON
        has_schema = not cord.stream and cord.route.output_schema is not None
        content[media_type] = {"schema": components.add_schema(cord.route.output_schema or {})} if has_schema else {}
    return {"description": "The response of the service.", "content": content}
