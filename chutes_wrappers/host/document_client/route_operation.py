"""The operation of a route that no document describes, from the route itself. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from chutes_wrappers.core.body_schemas import build_fallback_schema
from chutes_wrappers.core.platform_rules import BODILESS_METHODS
from chutes_wrappers.core.routes import Parameter, PartFormat, Route
from chutes_wrappers.host.document_client.document_nodes import Nodes
from chutes_wrappers.host.document_client.document_parameters import find_path_variables
from chutes_wrappers.host.document_client.operation import Operation, OperationBody, OperationParameter, ValueFormat


def read_route_operation(route: Route) -> Operation:
    """Return the operation that ``route`` says it calls."""
    schema = route.input_schema or build_fallback_schema(route.request) or {}
    nodes = Nodes({"$defs": schema.get("$defs", {})})
    properties = nodes.find_properties(schema)
    variables = find_path_variables(route.target_path)
    in_query = find_path_variables(route.target_path.partition("?")[2])
    declared = {
        variables.get(each.name)
        for each in route.parameters
        if each.place == "path" or (each.place == "query" and each.name in in_query)
    }
    undeclared = [name for name in dict.fromkeys(variables.values()) if name not in declared]
    return Operation(
        method=route.upstream_method,
        path=route.target_path,
        nodes=nodes,
        parameters=(
            *(_read_parameter(each, properties.get(each.name), in_query) for each in route.parameters),
            *(
                OperationParameter(name=name, place="path", is_required=f"{{/{name}" not in route.target_path)
                for name in undeclared
            ),
        ),
        body=_read_body(route, schema),
    )


def _read_parameter(parameter: Parameter, schema: Any, in_query: Container[str]) -> OperationParameter:
    return OperationParameter(
        name=parameter.name,
        place=parameter.place,
        format=ValueFormat(
            style=parameter.style or "",
            explode=parameter.explode,
            allow_reserved=parameter.allow_reserved,
            content_type=parameter.content_type,
        ),
        formats={name: _read_part(part) for name, part in parameter.parts.items()},
        schema=schema,
        is_required=parameter.required
        or parameter.place == "path"
        or (parameter.place == "query" and parameter.name in in_query),
        is_credential=parameter.credential,
    )


def _read_body(route: Route, schema: Mapping[str, Any]) -> OperationBody | None:
    request = route.request_format
    if request.encoding == "none" or (route.request is None and route.upstream_method in BODILESS_METHODS):
        return None
    return OperationBody(
        kind=request.encoding,
        content_type=request.content_type,
        schema=schema,
        is_wrapped=request.wrapped,
        is_assumed=route.request is None,
        files=frozenset(request.files) if request.files is not None else None,
        formats={name: _read_part(part) for name, part in request.parts.items()},
    )


def _read_part(part: PartFormat) -> ValueFormat:
    return ValueFormat(
        style=part.style or "",
        explode=part.explode,
        allow_reserved=part.allow_reserved,
        content_type=part.content_type,
        headers=part.headers,
    )
