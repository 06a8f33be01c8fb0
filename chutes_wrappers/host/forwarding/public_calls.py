"""Conversion of a request for the service to a call of its route, as the README documents calls. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import pybase64

from chutes_wrappers.core.platform_rules import BODILESS_METHODS
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.forwarding.matching import Match
from chutes_wrappers.host.forwarding.multipart_reader import Field, InvalidMultipart, parse_multipart, parse_parameters
from chutes_wrappers.host.forwarding.transport import ForwardingError
from chutes_wrappers.runtime.tunnel_frames import TunnelCall

_T = TypeVar("_T")
_UNSUPPORTED_MEDIA_TYPE = 415
_BAD_REQUEST = 400
_TUNNEL_REQUIRED = "only a tunnel supports that: register_tunnel(chute, SERVICE_PORTS) in the module"


def build_query_and_body(match: Match, call: TunnelCall) -> tuple[tuple[tuple[str, str], ...], dict[str, Any]]:
    """Build the query and the JSON body of the public call for ``call``.

    Raises ForwardingError for a request that its route cannot express.
    """
    route = match.cord.route
    query = _encode_lists(route, parse_qsl(call.target.partition("?")[2], keep_blank_values=True))
    query += [*match.path_values.items(), *_select_header_parameters(route, call)]
    if match.cord.public_method in BODILESS_METHODS:
        if call.body and match.cord.public_method != "GET":
            raise ForwardingError(
                _BAD_REQUEST, f"the platform sends no body with a {match.cord.public_method} call; {_TUNNEL_REQUIRED}"
            )
        return tuple(query), {}
    body = _build_body(route, call)
    repeated = _collect_repeated(query) if set(body) != {"body"} or route.request_format.wrapped else {}
    body_lists = {
        name: values for name, values in repeated.items() if name in _collect_query_names(route) and name not in body
    }
    return tuple((name, value) for name, value in query if name not in body_lists), {**body, **body_lists}


def _encode_lists(route: Route, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return ``pairs`` with each list as one JSON text.

    The platform keeps only the last value of a name, and a comma in a value would separate values.
    """
    names = {
        parameter.name for parameter in route.parameters if (parameter.place, parameter.type) == ("query", "array")
    }
    lists = _group_values((name, value) for name, value in pairs if name in names)
    others = [(name, value) for name, value in pairs if name not in names]
    return [*others, *((name, json.dumps(values, ensure_ascii=False)) for name, values in lists.items())]


def _select_header_parameters(route: Route, call: TunnelCall) -> list[tuple[str, str]]:
    headers = {name.lower(): value for name, value in call.headers}
    names = [parameter.name for parameter in route.parameters if parameter.place == "header"]
    return [(name, headers[name.lower()]) for name in names if name.lower() in headers]


def _collect_query_names(route: Route) -> set[str]:
    return {parameter.name for parameter in route.parameters if parameter.place == "query" and not parameter.shared}


def _collect_repeated(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Collect the names that occur several times. The platform keeps only the last value in a query, but a list in the body."""
    return {name: values for name, values in _group_values(pairs).items() if len(values) > 1}


def _build_body(route: Route, call: TunnelCall) -> dict[str, Any]:
    headers = {name.lower(): value for name, value in call.headers}
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise ForwardingError(
            _UNSUPPORTED_MEDIA_TYPE, f"the body is compressed ({headers['content-encoding']}); {_TUNNEL_REQUIRED}"
        )
    content_type = headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if not call.body and not kind.startswith("multipart/"):
        return _build_empty_body(route, content_type)
    if route.request_format.encoding == "binary":
        return _add_content_type({"data": _encode_base64(call.body)}, content_type)
    if route.request_format.encoding == "text":
        return _add_content_type({"text": _decode_text(call.body, content_type)}, content_type)
    if kind.startswith("multipart/"):
        return _join_pairs(_parse_multipart_pairs(content_type, call.body))
    if kind == "application/x-www-form-urlencoded" and route.request_format.encoding != "json":
        return _join_pairs(parse_qsl(_decode_text(call.body, content_type), keep_blank_values=True))
    return _parse_json(route, call.body, kind)


def _build_empty_body(route: Route, content_type: str) -> dict[str, Any]:
    empty_bodies = {"binary": {"data": ""}, "text": {"text": ""}}
    body = empty_bodies.get(route.request_format.encoding)
    return _add_content_type(body, content_type) if body is not None else {}


def _add_content_type(body: Mapping[str, Any], content_type: str) -> dict[str, Any]:
    return {**body, "content_type": content_type} if content_type else {**body}


def _decode_text(data: bytes, content_type: str) -> str:
    try:
        return data.decode(parse_parameters(content_type).get("charset") or "utf-8")
    except (InvalidMultipart, LookupError, ValueError) as error:
        raise ForwardingError(
            _UNSUPPORTED_MEDIA_TYPE, f"the body is not valid text of its charset ({error}); {_TUNNEL_REQUIRED}"
        ) from error


def _parse_multipart_pairs(content_type: str, body: bytes) -> list[tuple[str, Any]]:
    try:
        return [(field.name, _encode_field(field)) for field in parse_multipart(content_type, body)]
    except InvalidMultipart as error:
        raise ForwardingError(_BAD_REQUEST, f"invalid multipart body: {error}") from error


def _encode_field(field: Field) -> Any:
    if field.filename is None:
        return _decode_text(field.data, field.content_type)
    kind = field.content_type or "application/octet-stream"
    return {"filename": field.filename, "content_type": kind, "data": _encode_base64(field.data)}


def _join_pairs(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields as keys; a repeated field becomes a list."""
    return {name: values[0] if len(values) == 1 else values for name, values in _group_values(pairs).items()}


def _group_values(pairs: Iterable[tuple[str, _T]]) -> dict[str, list[_T]]:
    groups: dict[str, list[_T]] = {}
    for name, value in pairs:
        groups.setdefault(name, []).append(value)
    return groups


def _parse_json(route: Route, data: bytes, kind: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        if kind and "json" not in kind:
            raise ForwardingError(
                _UNSUPPORTED_MEDIA_TYPE, f"{route.describe()} accepts JSON, not {kind}; {_TUNNEL_REQUIRED}"
            ) from error
        raise ForwardingError(_BAD_REQUEST, f"the body is not valid JSON: {error}") from error
    if isinstance(value, dict) and not route.request_format.wrapped:
        return value
    return {"body": value}


def _encode_base64(data: bytes) -> str:
    return pybase64.b64encode(data).decode("ascii")
