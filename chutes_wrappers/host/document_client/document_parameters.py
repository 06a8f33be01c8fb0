"""Parameters and security schemes of an operation, read from its document as a client of the service does. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast, get_args

from chutes_wrappers.host.document_client.declared_examples import list_examples
from chutes_wrappers.host.document_client.document_encodings import read_encodings
from chutes_wrappers.host.document_client.document_nodes import Nodes, get_list, get_mapping, get_text
from chutes_wrappers.host.document_client.operation import OperationParameter, Place, ValueFormat

_VARIABLE = re.compile(r"\{([^{}]+)\}")
# Flask's, Starlette's, Go's and RFC 6570's ways to say that a value may have slashes.
_OPERATORS = re.compile(r"\A[+#./;?&*]+|(?:[+*]|\.\.\.|:.*)\Z", re.DOTALL)
# OpenAPI 3 ignores header parameters of these names. A client may send the first two.
_IGNORED_HEADERS = frozenset({"accept", "authorization", "content-type"})
# They are said by HTTP, not by a call.
_HEADERS_OF_HTTP = frozenset({
    "content-type", "accept-encoding", "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer",
    "upgrade", "expect",
})  # fmt: skip
# RFC 9110, section 5.6.2, and what ends the name of a cookie for every server. Others would become another header or cookie.
_NAME_FORMS = {"header": re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"), "cookie": re.compile(r"[!-+\--:<>-~]+")}
_COLLECTION_STYLES = {"ssv": "spaceDelimited", "pipes": "pipeDelimited", "tsv": "tabDelimited"}
AUTHORIZATION = "Authorization"


def read_parameters(
    nodes: Nodes, item: Mapping[str, Any], operation: Mapping[str, Any], path: str
) -> tuple[OperationParameter, ...]:
    """Return the parameters of an operation, and those of its path item that it does not override."""
    parameters: dict[tuple[str, str], OperationParameter] = {}
    variables = find_path_variables(path)
    in_query = find_path_variables(path.partition("?")[2])
    headers_of_http = _HEADERS_OF_HTTP - (set() if _has_body(nodes, item, operation) else {"content-type"})
    for node in list_parameter_nodes(nodes, item, operation):
        name, place = get_text(node, "name"), get_text(node, "in")
        if place not in get_args(Place) or (not name and place != "querystring"):
            continue
        if (place == "path" and name not in variables) or (place == "header" and name.lower() in headers_of_http):
            continue
        if not can_have_name(place, name):
            continue
        parameter = _read_parameter(nodes, node, name, cast(Place, place))
        is_needed = place == "query" and name in in_query  # /x?a={a}
        parameters.setdefault((place, name), replace(parameter, is_required=parameter.is_required or is_needed))
    declared = {
        variables[name] for place, name in parameters if place == "path" or (place == "query" and name in in_query)
    }
    for name in dict.fromkeys(variables.values()):
        if name not in declared:
            parameters["path", name] = OperationParameter(
                name=name, place="path", schema={"type": "string"}, is_required=f"{{/{name}" not in path
            )
    return tuple(parameters.values())


def can_have_name(place: str, name: str) -> bool:
    """Return whether HTTP has a way to send a parameter of this name in ``place``."""
    return place not in _NAME_FORMS or bool(_NAME_FORMS[place].fullmatch(name))


def _has_body(nodes: Nodes, item: Mapping[str, Any], operation: Mapping[str, Any]) -> bool:
    places = [node.get("in") for node in list_parameter_nodes(nodes, item, operation)]
    return "requestBody" in operation or "body" in places or "formData" in places


def find_path_variables(path: str) -> dict[str, str]:
    """Return name → plain name of the variables of a template: ``b+`` and ``b`` for ``{b+}``, both with the value ``b``."""
    names = {text: _OPERATORS.sub("", text) or text for text in _VARIABLE.findall(path)}
    return {**names, **{name: name for name in names.values()}}


def list_parameter_nodes(nodes: Nodes, item: Mapping[str, Any], operation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the parameter objects of an operation, before those of its path item."""
    return [nodes.resolve(node) for owner in (operation, item) for node in get_list(owner, "parameters")]


def _read_parameter(nodes: Nodes, node: Mapping[str, Any], name: str, place: Place) -> OperationParameter:
    content = get_mapping(node, "content")
    media_type = next(iter(content), "")
    media = nodes.resolve(content.get(media_type)) if media_type else {}
    schema = media.get("schema") if media_type else node.get("schema", node)
    is_ignored = place == "header" and name.lower() in _IGNORED_HEADERS
    return OperationParameter(
        name=name,
        place=place,
        format=ValueFormat(content_type=media_type) if media_type else _read_format(node),
        formats=read_encodings(nodes, media),
        schema=schema,
        is_required=(node.get("required") is True and not is_ignored) or place == "path",
        is_expected=node.get("required") is True and place == "header" and name.lower() in ("accept", "content-type"),
        is_credential=place == "header" and name.lower() == AUTHORIZATION.lower(),
        examples=(*list_examples(nodes, node), *list_examples(nodes, media)),
    )


def _read_format(node: Mapping[str, Any]) -> ValueFormat:
    if "schema" not in node and "type" in node:  # Swagger 2.0
        collection = get_text(node, "collectionFormat") or "csv"
        is_array = node.get("type") == "array"
        style = _COLLECTION_STYLES.get(collection, "")
        return ValueFormat(style=style, explode=collection == "multi") if is_array else ValueFormat()
    explode = node.get("explode")
    return ValueFormat(
        style=get_text(node, "style"),
        explode=explode if isinstance(explode, bool) else None,
        allow_reserved=node.get("allowReserved") is True,
    )


def read_credentials(
    nodes: Nodes, operation: Mapping[str, Any], parameters: Iterable[OperationParameter]
) -> tuple[OperationParameter, ...]:
    """Return the credentials that the operation's security requirements name, by the names that are sent."""
    document = nodes.document
    schemes = {**get_mapping(document, "securityDefinitions")}
    schemes |= get_mapping(get_mapping(document, "components"), "securitySchemes")
    requirements = operation.get("security", document.get("security"))
    if requirements is None and not nodes.has_security:
        requirements = [{name: []} for name in schemes]  # documents forget to require what they declare
    names = (
        [name for each in requirements if isinstance(each, Mapping) for name in each]
        if isinstance(requirements, list)
        else []
    )
    declared = {(each.place, each.name.lower()) for each in parameters}
    credentials: dict[tuple[str, str], OperationParameter] = {}
    for name in names:
        # OpenAPI 3.2: a requirement may be the URI of a scheme.
        credential = _read_scheme(nodes.resolve(schemes.get(name, {"$ref": name} if "#" in name else None)))
        if credential and not can_have_name(credential.place, credential.name):
            continue
        if credential and (credential.place, credential.name.lower()) not in declared:
            credentials.setdefault((credential.place, credential.name.lower()), credential)
    return tuple(credentials.values())


def _read_scheme(scheme: Mapping[str, Any]) -> OperationParameter | None:
    kind, place = get_text(scheme, "type"), get_text(scheme, "in")
    if kind == "apiKey" and place in ("header", "query", "cookie") and get_text(scheme, "name"):
        return OperationParameter(name=scheme["name"], place=cast(Place, place), is_credential=True)
    if kind in ("http", "basic", "oauth2", "openIdConnect"):
        return OperationParameter(name=AUTHORIZATION, place="header", is_credential=True)
    return None
