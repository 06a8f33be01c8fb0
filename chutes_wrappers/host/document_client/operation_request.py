"""The request of an operation for a call: what a client of the service sends. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterator, Mapping
from typing import Any, get_args
from urllib.parse import parse_qsl, quote

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.document_client.body_formats import (
    EncodedBody,
    encode_body,
    encode_form,
    encode_json,
    is_wrapper,
)
from chutes_wrappers.host.document_client.direct_request import DirectRequest
from chutes_wrappers.host.document_client.document_parameters import can_have_name, find_path_variables
from chutes_wrappers.host.document_client.operation import Operation, OperationParameter, Place
from chutes_wrappers.host.document_client.operation_examples import build_parameter_value
from chutes_wrappers.host.document_client.value_formats import (
    format_header_value,
    format_path_value,
    iterate_cookies,
    iterate_query,
    to_text,
)

_VARIABLE = re.compile(r"\{([^{}]+)\}")
_HAS_SLASHES = re.compile(r"\A[+*]|(?:[+*]|\.\.\.|:path)\Z")
# RFC 9110, section 9.3: a body has a meaning there. With any other method, also those of WebDAV, an empty one is none.
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "QUERY"})
# RFC 9110, section 5.5: a tab is none of them.
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LITERAL = "/%:@!$&'()*+,;=~"


def build_request(
    operation: Operation, port: int, example: Mapping[str, Any], header_names: Collection[str] = ()
) -> DirectRequest:
    """Return the request that a client of the service on ``port`` sends for ``example``, a call's public JSON.

    A required parameter that the example lacks gets a value of its own; credentials do not, nor what is in ``header_names``,
    which the instance adds. Raises WrapperError with the reason when the operation cannot carry the example.
    """
    values, fields = _separate_values(operation, example, {name.lower() for name in header_names})
    body, rest = _select_body_fields(operation, fields)
    content, content_type = _encode(operation, body)
    headers = {"Content-Type": content_type} if content_type else {}
    return DirectRequest(
        port=port,
        method=operation.method,
        target=_build_target(operation, values, rest),
        headers={**headers, **_build_headers(operation, values)},
        body=content,
    )


_Values = Mapping[int, Any]


def _separate_values(
    operation: Operation, example: Mapping[str, Any], header_names: Collection[str]
) -> tuple[_Values, dict[str, Any]]:
    """Return the values of the parameters by their index, and the fields that remain for the body."""
    in_body = _list_body_keys(operation)
    fields, values, used = dict(example), dict[int, Any](), set[str]()
    order = sorted(
        enumerate(operation.parameters),
        key=lambda pair: (pair[1].is_credential, get_args(Place).index(pair[1].place)),
    )
    lower_in_body = {name.lower() for name in in_body}
    names = {parameter.name for parameter in operation.parameters}
    for index, parameter in order:
        key = _find_key(parameter, example, names)
        is_shared = key in in_body or (_has_any_case(parameter) and key.lower() in lower_in_body)
        # One key says one parameter, and another of the same name only if the service requires it. A service may read a
        # credential in several places.
        is_free = not is_shared and (key not in used or parameter.is_credential)
        value = None
        if key in example and (is_free or parameter.is_required):
            value = example[key]
            used.add(key)
        elif parameter.is_required and not parameter.is_credential and parameter.name.lower() not in header_names:
            value = build_parameter_value(operation, parameter)
        if not is_shared:
            fields.pop(key, None)
        value = _find_defined(operation, parameter, value) if value is not None else None
        if value is not None:
            values[index] = value
    return values, fields


def _list_body_keys(operation: Operation) -> Collection[str]:
    """Return the keys of a call that say the body, where the document has one."""
    body = operation.body
    if body is None or not operation.is_from_document:
        return ()
    if body.kind in ("text", "binary"):
        return ("text" if body.kind == "text" else "data", "content_type")
    if body.kind == "lines" or body.is_wrapped:
        return ("body",)
    return operation.nodes.find_properties(body.schema).keys()


def _find_key(parameter: OperationParameter, example: Mapping[str, Any], names: Container[str]) -> str:
    """Return the key of a parameter in a call: its name. The names of headers have no case, unless another parameter has the key."""
    if not _has_any_case(parameter) or parameter.name in example:
        return parameter.name
    keys = (key for key in example if key.lower() == parameter.name.lower() and key not in names)
    return next(keys, parameter.name)


def _has_any_case(parameter: OperationParameter) -> bool:
    """Return whether a key in other letters is the parameter's as well: a header whose name cannot be a word of a body."""
    return parameter.place == "header" and "-" in parameter.name


def _find_defined(operation: Operation, parameter: OperationParameter, value: Any) -> Any:
    """Return what of ``value`` is sent; None if nothing is: null and empty collections are undefined (RFC 6570, section 2.3)."""
    if parameter.format.content_type:
        is_json = parameter.format.content_type.partition(";")[0].strip().lower().endswith(("/json", "+json"))
        kinds = operation.nodes.find_types(parameter.schema) - {"null"}
        is_text = isinstance(value, str) and not (kinds and kinds <= {"array", "object"})
        return encode_json(value).decode() if is_json and is_text else value
    if isinstance(value, Mapping):
        value = {key: item for key, item in value.items() if item is not None}
    elif isinstance(value, list):
        value = [item for item in value if item is not None]
    return None if value in ([], {}) else value


def _select_body_fields(operation: Operation, fields: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Return the fields of the body, None without one, and the fields that go into the query string."""
    if operation.body is not None:
        return (None if not fields and operation.method not in _METHODS_WITH_BODY else fields), {}
    if operation.method in ("GET", "HEAD", "DELETE"):
        return None, fields
    return (fields or None), {}


def _encode(operation: Operation, fields: dict[str, Any] | None) -> EncodedBody:
    if fields is None:
        return b"", ""
    if operation.body is None:
        value = fields["body"] if is_wrapper(fields) else fields
        return encode_json(value), "application/json"
    return encode_body(operation.body, fields)


def _build_target(operation: Operation, values: _Values, rest: Mapping[str, Any]) -> str:
    path, _, fixed = operation.path.partition("#")[0].partition("?")
    variables = find_path_variables(operation.path)
    by_name = {
        variables.get(parameter.name, parameter.name): (parameter, values.get(index))
        # A variable in the query of the path may be a path parameter, or one of the query.
        for index, parameter in sorted(enumerate(operation.parameters), key=lambda pair: pair[1].place == "path")
        if parameter.place in ("path", "query")
    }
    in_template = find_path_variables(fixed)
    fixed = _VARIABLE.sub(lambda match: _format_in_template(*by_name[variables[match[1]]]), fixed)
    fixed_names = {name for name, _ in parse_qsl(fixed, keep_blank_values=True)}
    pairs = [pair for pair in _iterate_pairs(operation, values, rest, in_template) if pair[0] not in fixed_names]
    whole = [
        _format_query_string(parameter, values[index])
        for index, parameter in enumerate(operation.parameters)
        if parameter.place == "querystring" and index in values
    ]
    query = "&".join([*filter(None, [fixed]), *(f"{name}={value}" for name, value in pairs), *whole])
    text = _fill_path(path, variables, by_name)
    return f"{text}?{query}" if query else text


def _format_in_template(parameter: OperationParameter, value: Any) -> str:
    is_list = isinstance(value, list) and not parameter.format.content_type
    return quote(",".join(map(to_text, value)) if is_list else to_text(value), safe="")


def _fill_path(path: str, variables: Mapping[str, str], by_name: Mapping[str, tuple[OperationParameter, Any]]) -> str:
    texts, end = [], 0
    for match in _VARIABLE.finditer(path):
        parameter, value = by_name[variables[match[1]]]
        is_segment = match[1].startswith("/")  # RFC 6570's optional segment: {/name}
        texts.append(quote(path[end : match.start()], safe=_LITERAL))
        end = match.end()
        if value is None and is_segment:
            continue
        if value is None or value == "":
            raise WrapperError(f"the path of the operation needs `{parameter.name}`, and the call has no value for it")
        has_slashes = bool(_HAS_SLASHES.search(match[1]))
        text = format_path_value(parameter.name, value, parameter.format, has_slashes=has_slashes)
        texts.append(f"/{text}" if is_segment else text)
    return "".join([*texts, quote(path[end:], safe=_LITERAL)])


def _iterate_pairs(
    operation: Operation, values: _Values, rest: Mapping[str, Any], in_template: Container[str]
) -> Iterator[tuple[str, str]]:
    for index, parameter in enumerate(operation.parameters):
        if parameter.place == "query" and index in values and parameter.name not in in_template:
            yield from iterate_query(parameter.name, values[index], parameter.format)
    for name, value in rest.items():
        if value is not None:
            yield quote(name, safe=""), quote(to_text(value), safe="")


def _format_query_string(parameter: OperationParameter, value: Any) -> str:
    """Return a whole query string (OpenAPI 3.2, ``in: querystring``) in the media type that is declared for it."""
    is_form = "x-www-form-urlencoded" in parameter.format.content_type
    if is_form and isinstance(value, Mapping):
        return encode_form(value, parameter.formats)
    return value if is_form and isinstance(value, str) else quote(to_text(value), safe="")


def _build_headers(operation: Operation, values: _Values) -> dict[str, str]:
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for index, parameter in enumerate(operation.parameters):
        if index not in values:
            continue
        if parameter.place == "header":
            headers[parameter.name] = format_header_value(values[index], parameter.format)
        elif parameter.place == "cookie":
            cookies += iterate_cookies(parameter.name, values[index], parameter.format)
    for cookie in cookies:
        if not can_have_name("cookie", cookie.partition("=")[0]):
            raise WrapperError(f"the call has a value for cookies that would be another cookie: {cookie[:100]!r}")
    for name, value in headers.items():
        if _CONTROL_CHARACTER.search(value):
            raise WrapperError(f"the call's value of `{name}` contains line breaks or other control characters")
    return {**headers, **({"Cookie": "; ".join(cookies)} if cookies else {})}
