"""Parameters of an operation that a caller sends: path, query and headers, of Swagger 2.0 and OpenAPI 3. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.path_templates import VARIABLE, parse_variable_name
from chutes_wrappers.core.route_checks import find_header_problem
from chutes_wrappers.core.routes import Parameter, ParameterLocation, Style
from chutes_wrappers.host.discovery import declared_media
from chutes_wrappers.host.discovery.references import resolve_node

_MAX_PARAMETERS = 200
_MAX_DESCRIPTION_LENGTH = 300
# OpenAPI 3 ignores parameters with the first three names. The gateway sets the other headers.
_IGNORED_HEADERS = frozenset({"accept", "content-type", "authorization", "accept-encoding", "cookie"})
# ``collectionFormat`` of Swagger 2.0 as style and explode; its default is csv.
_COLLECTION_FORMATS: dict[str, tuple[Style | None, bool]] = {
    "csv": (None, False),
    "multi": (None, True),
    "ssv": ("spaceDelimited", False),
    "pipes": ("pipeDelimited", False),
}
_NON_SCHEMA_KEYS = frozenset({
    "name", "in", "required", "description", "collectionFormat", "allowEmptyValue", "style", "explode", "allowReserved",
    "schema", "content", "examples", "deprecated", "$ref",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DeclaredParameter:
    """A parameter, and the schema of its value."""

    parameter: Parameter
    schema: Any


def collect_nodes(
    document: Mapping[str, Any], operation: Mapping[str, Any], item: Mapping[str, Any]
) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Return the parameter objects of ``operation``, then those of its path item that it does not override.

    References are followed. The second list names the problems of those that cannot be read.
    """
    nodes_by_key: dict[tuple[str, str], Mapping[str, Any]] = {}
    problems: list[str] = []
    for owner in (operation, item):
        parameters = owner.get("parameters", [])
        if not isinstance(parameters, list):
            problems.append("`parameters` is not a list")
            continue
        for node in parameters[:_MAX_PARAMETERS]:
            try:
                parameter = resolve_node(document, node, "a parameter")
                nodes_by_key.setdefault((str(parameter.get("in")), str(parameter.get("name"))), parameter)
            except WrapperError as error:
                problems.append(error.what)
    return list(nodes_by_key.values()), problems


def read_parameters(nodes: Iterable[Mapping[str, Any]], path: str) -> list[DeclaredParameter]:
    """Return the parameters in ``nodes`` that a caller of ``path`` sends: first path, then query and headers.

    Undeclared variables of the path are parameters too. Nodes that cannot be a parameter are ignored.
    """
    variables = find_path_variables(path)
    parameters = [_read_parameter(node) for node in nodes if _is_caller_parameter(node, variables)]
    declared_names = {
        variables[parameter.parameter.name] for parameter in parameters if parameter.parameter.place == "path"
    }
    parameters += [
        DeclaredParameter(parameter=_build_parameter(name, "path"), schema={"type": "string"})
        for name in dict.fromkeys(variables.values())
        if name not in declared_names
    ]
    order = get_args(ParameterLocation)
    return sorted(parameters, key=lambda parameter: order.index(parameter.parameter.place))


def find_path_variables(path: str) -> dict[str, str]:
    """Return declared name → variable name of a path template: the variable ``{b+}`` may be declared as ``b+`` or ``b``."""
    names = {text: parse_variable_name(text) for text in VARIABLE.findall(path)}
    return {**names, **{name: name for name in names.values()}}


def _is_caller_parameter(node: Mapping[str, Any], variables: Mapping[str, str]) -> bool:
    name, location = node.get("name"), node.get("in")
    if not isinstance(name, str) or not name:
        return False
    if location == "path":
        return name in variables
    if location == "header":
        return find_header_problem(name) is None and name.lower() not in _IGNORED_HEADERS
    return location == "query"


def _read_parameter(node: Mapping[str, Any]) -> DeclaredParameter:
    location = node["in"]
    style, explode = _read_style(node) if "schema" in node or "content" in node else _read_collection_format(node)
    parameter = _build_parameter(node["name"], location, style, explode, required=node.get("required") is True)
    return DeclaredParameter(parameter=parameter, schema=build_value_schema(node))


def _build_parameter(
    name: str,
    location: ParameterLocation,
    style: Style | None = None,
    explode: bool | None = None,
    *,
    required: bool = True,
) -> Parameter:
    default_style = "form" if location == "query" else "simple"
    style = None if style == default_style else style
    explode = None if explode is (location == "query" and style is None) else explode
    try:
        return Parameter.model_validate({
            "name": name, "in": location, "style": style, "explode": explode, "required": required or location == "path",
        })  # fmt: skip
    except ValidationError as error:
        raise WrapperError("a parameter has a name that is not valid text") from error


def _read_style(node: Mapping[str, Any]) -> tuple[Style | None, bool | None]:
    style, explode = node.get("style"), node.get("explode")
    return style if style in get_args(Style) else None, explode if isinstance(explode, bool) else None


def _read_collection_format(node: Mapping[str, Any]) -> tuple[Style | None, bool | None]:
    if node.get("type") != "array":
        return None, None
    collection_format = node.get("collectionFormat")
    return _COLLECTION_FORMATS.get(collection_format if isinstance(collection_format, str) else "csv", (None, False))


def build_value_schema(node: Mapping[str, Any]) -> Any:
    """Return the schema of a parameter's value; in Swagger 2.0 the parameter itself is the schema."""
    if "content" in node:  # the value is text of that media type, such as JSON
        content = node["content"]
        media_type = next(iter(content), "") if isinstance(content, Mapping) else ""
        schema: Any = {"type": "string", **({"contentMediaType": media_type} if media_type else {})}
    elif "schema" in node:
        schema = declared_media.add_example(node["schema"], node)
    else:
        schema = {key: value for key, value in node.items() if key not in _NON_SCHEMA_KEYS}
    description = node.get("description")
    if isinstance(schema, Mapping) and isinstance(description, str) and not {"$ref", "description"} & set(schema):
        return {**schema, "description": description[:_MAX_DESCRIPTION_LENGTH]}
    return schema
