"""Parameters of an operation that a caller sends: path, query, headers and cookies, of Swagger 2.0 and OpenAPI 3. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.path_templates import find_variables
from chutes_wrappers.core.route_checks import find_header_problem
from chutes_wrappers.core.routes import Parameter, ParameterLocation, PartFormat, Style
from chutes_wrappers.host.discovery import declared_media
from chutes_wrappers.host.discovery.collection_formats import read_collection_format
from chutes_wrappers.host.discovery.part_formats import read_part_formats
from chutes_wrappers.host.discovery.references import resolve_node
from chutes_wrappers.host.discovery.shapes import Shapes

_FORM = "application/x-www-form-urlencoded"
_MAX_PARAMETERS = 200
_MAX_DESCRIPTION_LENGTH = 300
_PLACES: tuple[ParameterLocation, ...] = get_args(ParameterLocation)
# The connection sets it to the length of the body.
_SILENT_HEADERS = frozenset({"content-length"})
# OpenAPI 3 ignores header parameters of these names: others of its fields say what they contain.
_IGNORED_HEADERS = frozenset({"accept", "authorization", "content-type"})
_STYLES: Mapping[str, tuple[Style, ...]] = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form", "cookie"),
}
# What ends a cookie's name or the header itself (RFC 6265, section 4.1.1); frameworks use other characters.
_NOT_IN_COOKIE_NAME = re.compile(r"[\x00-\x20\x7f=;,]|[^\x00-\x7f]")
_NON_SCHEMA_KEYS = frozenset({
    "name", "in", "required", "description", "collectionFormat", "allowEmptyValue", "style", "explode", "allowReserved",
    "schema", "content", "examples", "deprecated", "$ref", "x-example", "x-examples",
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
            problems.append("a parameter left out: `parameters` is not a list")
            continue
        if len(parameters) > _MAX_PARAMETERS:
            problems.append(f"parameters left out: those after the first {_MAX_PARAMETERS}")
        for node in parameters[:_MAX_PARAMETERS]:
            try:
                parameter = resolve_node(document, node, "a parameter")
                nodes_by_key.setdefault((str(parameter.get("in")), str(parameter.get("name"))), parameter)
            except WrapperError as error:
                problems.append(f"a parameter left out: {error.what}")
    return list(nodes_by_key.values()), problems


def read_parameters(
    document: Mapping[str, Any], nodes: Iterable[Mapping[str, Any]], path: str, *, body_type: str | None = None
) -> tuple[list[DeclaredParameter], list[str]]:
    """Return the parameters in ``nodes`` that a caller of ``path`` sends, sorted by place, and what is not carried.

    Undeclared variables of the path are parameters too. ``body_type`` is the media type that is sent with the body; empty if
    the caller sets it, None without a body.
    """
    nodes = [node for node in nodes if node.get("in") not in ("body", "formData")]
    variables = _find_path_variables(path, nodes)
    needed = {variable.name for variable in find_variables(path.partition("?")[2])}
    parameters: list[DeclaredParameter] = []
    problems: list[str] = []
    for node in nodes:
        loss = _find_loss(node, variables, body_type)
        if loss:
            problems.append(loss)
        elif loss is None:
            name, place = node["name"], node["in"]
            is_needed = variables.get(name, True) if place == "path" else place == "query" and name in needed
            parameter, notes = _read_parameter(document, node, is_needed=is_needed)
            parameters.append(parameter)
            problems += notes
    declared_names = {parameter.parameter.name for parameter in parameters if parameter.parameter.place == "path"}
    parameters += [
        DeclaredParameter(parameter=_build_parameter(name, "path", required=is_required), schema={"type": "string"})
        for name, is_required in variables.items()
        if name not in declared_names
    ]
    return sort_parameters(parameters), problems


def sort_parameters(parameters: Iterable[DeclaredParameter]) -> list[DeclaredParameter]:
    """Return ``parameters`` by place: path, query, headers, cookies."""
    return sorted(parameters, key=lambda declared: _PLACES.index(declared.parameter.place))


def _find_path_variables(path: str, nodes: Iterable[Mapping[str, Any]]) -> dict[str, bool]:
    """Return the names of the variables of a path → whether each is required. ``{b+}`` may be declared as ``b+`` or ``b``.

    A variable in the query of a path, ``/x?a={a}``, may be declared as a query parameter.
    """
    names = {name for node in nodes if node.get("in") == "path" and isinstance(name := node.get("name"), str)}
    in_query = {str(node.get("name")) for node in nodes if node.get("in") == "query"} - names
    end = len(path.partition("?")[0])
    variables = [
        variable for variable in find_variables(path, names) if variable.start < end or variable.name not in in_query
    ]
    return {variable.name: not variable.is_optional for variable in variables}


def find_same_names(parameters: Iterable[DeclaredParameter]) -> list[str]:
    """Return a note for each parameter whose name another one has: the callers' key is the name alone.

    A credential has the value of the other one.
    """
    first_places: dict[str, str] = {}
    notes = []
    for parameter in (declared.parameter for declared in parameters if not declared.parameter.credential):
        place = first_places.setdefault(parameter.name, parameter.place)
        if place != parameter.place:
            notes.append(
                f"{parameter.place} `{parameter.name[:100]}` has the name of the {place} parameter: a call sets one"
            )
    return notes


def find_name_problem(name: str, place: str) -> str | None:
    """Return why no parameter of this name can be sent in ``place``, or None."""
    if place == "header":
        problem = find_header_problem(name)
        return problem and problem.rpartition(": ")[0]  # without its advice to authors of routes
    if place == "cookie" and _NOT_IN_COOKIE_NAME.search(name):
        return f"{name!r} is not a valid name of a cookie"
    return None


def _find_loss(
    node: Mapping[str, Any],
    variables: Mapping[str, bool],
    body_type: str | None,
) -> str | None:
    """Return why callers cannot send the parameter ``node``; empty where nothing is lost, and None if they can."""
    name, place = node.get("name"), node.get("in")
    if not isinstance(name, str) or not name:
        return "a parameter left out: it has no name"
    label = f"{place if isinstance(place, str) else 'parameter'} `{name[:100]}` left out"
    if place not in _PLACES:
        return f"parameter `{name[:100]}` left out: {str(place)[:100]!r} is not a place of parameters"
    if place == "path" and name not in variables:
        return f"{label}: the path has no variable of this name"
    if problem := find_name_problem(name, place):
        return "" if name.lower() in _SILENT_HEADERS else f"{label}: {problem}"
    return _find_header_loss(node, label, body_type) if place == "header" else None


def _find_header_loss(node: Mapping[str, Any], label: str, body_type: str | None) -> str | None:
    """Return the loss of a header that the gateway sets itself, as in ``_find_loss``."""
    name = node["name"].lower()
    if name == "content-type":
        return None if body_type is None else _find_content_type_loss(node, label, body_type)
    if name == "accept-encoding":
        return f"{label}: the gateway decodes no response" if _is_needed(node) else ""
    return None


def _find_content_type_loss(node: Mapping[str, Any], label: str, body_type: str) -> str:
    """Return the loss of a parameter ``Content-Type`` of which no value is ``body_type``; empty if that is unknown."""
    values = [value for value in _list_values(node) if isinstance(value, str)]
    kinds = {declared_media.parse_media_type(value) for value in values}
    if not values or declared_media.parse_media_type(body_type) in {*kinds, ""}:
        return ""
    return f"{label}: the gateway sends {body_type}, the media type of the body; it allows {', '.join(values)[:200]}"


def _list_values(node: Mapping[str, Any]) -> list[Any]:
    schema = node["schema"] if isinstance(node.get("schema"), Mapping) else node
    values = schema.get("enum")
    return [schema["const"]] if "const" in schema else values if isinstance(values, list) else []


def _is_needed(node: Mapping[str, Any]) -> bool:
    return bool(_list_values(node)) or node.get("required") is True


def _read_parameter(
    document: Mapping[str, Any], node: Mapping[str, Any], *, is_needed: bool
) -> tuple[DeclaredParameter, list[str]]:
    """Return a parameter, and notes on what of it is not sent as declared. ``is_needed``: its path has no value without it."""
    place, name = node["in"], node["name"]
    is_swagger = "schema" not in node and "content" not in node
    style, explode, notes = _read_collection_format(node) if is_swagger else _read_style(node)
    content_type, media, media_notes = _read_media(document, node)
    parts, part_notes = _read_fields(document, node, content_type, media)
    is_ignored = place == "header" and name.lower() in _IGNORED_HEADERS and not is_swagger
    parameter = _build_parameter(
        name,
        place,
        style,
        explode,
        required=is_needed or (place != "path" and node.get("required") is True and not is_ignored),
        content_type=content_type,
        parts=parts,
        allow_reserved=node.get("allowReserved") is True,
        credential=place == "header" and name.lower() == "authorization",
    )
    declared = DeclaredParameter(parameter=parameter, schema=build_value_schema(document, node, media))
    return declared, [f"{place} `{name[:100]}`: {note}" for note in (*notes, *media_notes, *part_notes)]


def _build_parameter(
    name: str,
    location: ParameterLocation,
    style: Style | None = None,
    explode: bool | None = None,
    *,
    required: bool = True,
    **fields: Any,
) -> Parameter:
    default_style = "simple" if location in ("path", "header") else "form"
    explode = None if explode is ((style or default_style) in ("form", "cookie")) else explode
    try:
        return Parameter.model_validate({
            "name": name, "in": location, "style": None if style == default_style else style, "explode": explode,
            "required": required, **fields,
        })  # fmt: skip
    except ValidationError as error:
        raise WrapperError("a parameter has a name that is not valid text") from error


def _read_style(node: Mapping[str, Any]) -> tuple[Style | None, bool | None, list[str]]:
    style, explode, place = node.get("style"), node.get("explode"), node["in"]
    if "content" in node or place == "querystring":
        return None, None, []
    notes = []
    if style is not None and style not in _STYLES[place]:
        notes.append(
            f"style {str(style)[:50]!r} is not one of {', '.join(_STYLES[place])}: sent as {_STYLES[place][0]}"
        )
        style = None
    if explode is not None and not isinstance(explode, bool):
        notes.append("`explode` is not a boolean: the default is used")
        explode = None
    return style, explode, notes


def _read_collection_format(node: Mapping[str, Any]) -> tuple[Style | None, bool | None, list[str]]:
    if node.get("type") != "array":
        return None, None, []
    style, explode, notes = read_collection_format(node)
    if explode and node["in"] != "query":
        return None, False, ["collectionFormat multi is for the query only: sent as csv"]
    return style, explode, notes


def _read_media(document: Mapping[str, Any], node: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], list[str]]:
    """Return the media type of a parameter with ``content``, its object, and notes. Empty without ``content``."""
    if "content" not in node:
        return "", {}, []
    try:
        content = declared_media.read_content(document, node)
    except WrapperError as error:
        return "", {}, [f"its `content` is not used: {error.what}"]
    if not content:
        return "", {}, ["its `content` has no valid media type: it is sent as text"]
    content_type, media = next(iter(content.items()))
    notes = [f"only {content_type} is sent, the first of its media types"] if len(content) > 1 else []
    return content_type, media, notes


def _read_fields(
    document: Mapping[str, Any], node: Mapping[str, Any], content_type: str, media: Mapping[str, Any]
) -> tuple[dict[str, PartFormat], list[str]]:
    """Return the formats of the fields of a whole query string, and what of the ``encoding`` is not used."""
    if not media.get("encoding"):
        return {}, []
    if node["in"] != "querystring" or declared_media.parse_media_type(content_type) != _FORM:
        return {}, [f"`encoding` left out: it is for a query string of {_FORM}"]
    return read_part_formats(document, Shapes(document), media, files=(), is_multipart=False)


def build_value_schema(
    document: Mapping[str, Any], node: Mapping[str, Any], media: Mapping[str, Any] | None = None
) -> Any:
    """Return the schema of a parameter's value; in Swagger 2.0 the parameter itself is the schema.

    ``media`` is the media type object of a parameter with ``content``.
    """
    if "content" in node:
        schema = declared_media.add_example(document, (media or {}).get("schema", {}), {**node, **(media or {})})
    elif "schema" in node:
        schema = declared_media.add_example(document, node["schema"], node)
    else:
        schema = {key: value for key, value in node.items() if key not in _NON_SCHEMA_KEYS}
        schema = declared_media.add_example(document, schema, node)
    description = node.get("description")
    if isinstance(schema, Mapping) and isinstance(description, str) and not {"$ref", "description"} & set(schema):
        return {**schema, "description": description[:_MAX_DESCRIPTION_LENGTH]}
    return schema
