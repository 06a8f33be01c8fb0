"""The parameters of an operation that a caller gives: path, query and headers, of Swagger 2.0 and OpenAPI 3. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.path_templates import VARIABLE, variable_name
from chutes_wrappers.core.route_checks import header_problem
from chutes_wrappers.core.routes import Parameter, Place, Style
from chutes_wrappers.host.discovery import declared_media
from chutes_wrappers.host.discovery.references import resolve

_MOST_PARAMETERS = 200
_LONGEST_DESCRIPTION = 300
# OpenAPI: a parameter of these first names is ignored. The others are the gateway's own.
_IGNORED_HEADERS = frozenset({"accept", "content-type", "authorization", "accept-encoding", "cookie"})
# Swagger 2.0's words for lists, as style and explode; its default is csv.
_COLLECTIONS: dict[str, tuple[Style | None, bool]] = {
    "csv": (None, False),
    "multi": (None, True),
    "ssv": ("spaceDelimited", False),
    "pipes": ("pipeDelimited", False),
}
_NOT_OF_A_SCHEMA = frozenset({
    "name", "in", "required", "description", "collectionFormat", "allowEmptyValue", "style", "explode", "allowReserved",
    "schema", "content", "examples", "deprecated",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A parameter, and the schema of its value."""

    parameter: Parameter
    schema: Any


def nodes(
    document: Mapping[str, Any], operation: Mapping[str, Any], item: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The parameter objects of ``operation``, then those of its path item that it does not replace, references followed.

    And what is wrong with those that cannot be read.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    problems: list[str] = []
    for owner in (operation, item):
        own = owner.get("parameters", [])
        if not isinstance(own, list):
            problems.append("`parameters` is not a list")
            continue
        for node in own[:_MOST_PARAMETERS]:
            try:
                resolved = resolve(document, node, "a parameter")
                found.setdefault((str(resolved.get("in")), str(resolved.get("name"))), resolved)
            except WrapperError as error:
                problems.append(error.what)
    return list(found.values()), problems


def declared(nodes: Iterable[Mapping[str, Any]], path: str) -> list[Declared]:
    """The parameters among ``nodes`` that a caller of ``path`` gives: first those of the path, then query and headers.

    A variable of the path that nobody declares is one all the same. What cannot be a parameter is passed over.
    """
    variables = path_variables(path)
    found = [_declared(node) for node in nodes if _is_given(node, variables)]
    named = {variables[each.parameter.name] for each in found if each.parameter.place == "path"}
    found += [
        Declared(parameter=_parameter(name, "path"), schema={"type": "string"})
        for name in dict.fromkeys(variables.values())
        if name not in named
    ]
    order = get_args(Place)
    return sorted(found, key=lambda each: order.index(each.parameter.place))


def path_variables(path: str) -> dict[str, str]:
    """The names that the variables of a path template may be declared by, and what they are called: b+ and b are both b."""
    bare = {text: variable_name(text) for text in VARIABLE.findall(path)}
    return {**bare, **{name: name for name in bare.values()}}


def _is_given(node: Mapping[str, Any], variables: Mapping[str, str]) -> bool:
    name, place = node.get("name"), node.get("in")
    if not isinstance(name, str) or not name:
        return False
    if place == "path":
        return name in variables
    if place == "header":
        return header_problem(name) is None and name.lower() not in _IGNORED_HEADERS
    return place == "query"


def _declared(node: Mapping[str, Any]) -> Declared:
    place = node["in"]
    style, explode = _style(node) if "schema" in node or "content" in node else _collection(node)
    parameter = _parameter(node["name"], place, style, explode, required=node.get("required") is True)
    return Declared(parameter=parameter, schema=schema_of(node))


def _parameter(
    name: str, place: Place, style: Style | None = None, explode: bool | None = None, *, required: bool = True
) -> Parameter:
    default = "form" if place == "query" else "simple"
    style = None if style == default else style
    explode = None if explode is (place == "query" and style is None) else explode
    try:
        return Parameter.model_validate({
            "name": name, "in": place, "style": style, "explode": explode, "required": required or place == "path",
        })  # fmt: skip
    except ValidationError as error:
        raise WrapperError("a parameter has a name that is no text") from error


def _style(node: Mapping[str, Any]) -> tuple[Style | None, bool | None]:
    style, explode = node.get("style"), node.get("explode")
    return style if style in get_args(Style) else None, explode if isinstance(explode, bool) else None


def _collection(node: Mapping[str, Any]) -> tuple[Style | None, bool | None]:
    if node.get("type") != "array":
        return None, None
    named = node.get("collectionFormat")
    return _COLLECTIONS.get(named if isinstance(named, str) else "csv", (None, False))


def schema_of(node: Mapping[str, Any]) -> Any:
    """The schema of a parameter's value; that of a Swagger 2.0 parameter is the parameter itself."""
    if "content" in node:  # the value is a text that holds JSON, or whatever else is named there
        kinds = node["content"]
        kind = next(iter(kinds), "") if isinstance(kinds, Mapping) else ""
        schema: Any = {"type": "string", **({"contentMediaType": kind} if kind else {})}
    elif "schema" in node:
        schema = declared_media.with_example(node["schema"], node)
    else:
        schema = {key: value for key, value in node.items() if key not in _NOT_OF_A_SCHEMA}
    description = node.get("description")
    if isinstance(schema, Mapping) and isinstance(description, str) and not {"$ref", "description"} & set(schema):
        return {**schema, "description": description[:_LONGEST_DESCRIPTION]}
    return schema
