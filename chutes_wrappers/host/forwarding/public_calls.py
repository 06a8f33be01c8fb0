"""A request for the service → the public API's call of its route, as the README documents calls. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import pybase64

from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.forwarding.matching import Match
from chutes_wrappers.host.forwarding.multipart_reader import Field, NotMultipart, fields_of, parameters
from chutes_wrappers.host.forwarding.transport import NotCarried
from chutes_wrappers.runtime.tunnel_frames import TunnelCall

_UNSUPPORTED = 415
_BAD = 400
_ONLY_THE_TUNNEL = "only a tunnel carries that: register_tunnel(chute, SERVICE_PORTS) in the module"


def public_parts(match: Match, call: TunnelCall) -> tuple[tuple[tuple[str, str], ...], dict[str, Any]]:
    """The query and the JSON body of the public call that means ``call``. NotCarried for what its route cannot say."""
    route = match.cord.route
    query = _lists_as_json(route, parse_qsl(call.target.partition("?")[2], keep_blank_values=True))
    query += [*match.path_values.items(), *_header_parameters(route, call)]
    if match.cord.public_method == "GET":
        return tuple(query), {}
    body = _body(route, call)
    repeated = _repeated(query) if set(body) != {"body"} or route.request_format.wrapped else {}
    lists = {name: values for name, values in repeated.items() if name in _query_names(route) and name not in body}
    return tuple((name, value) for name, value in query if name not in lists), {**body, **lists}


def _lists_as_json(route: Route, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """``pairs`` with each list as one JSON text: the platform keeps the last of a name, and a comma would separate."""
    names = {
        parameter.name for parameter in route.parameters if (parameter.place, parameter.type) == ("query", "array")
    }
    result, lists = [], dict[str, list[str]]()
    for name, value in pairs:
        if name in names:
            lists.setdefault(name, []).append(value)
        else:
            result.append((name, value))
    return [*result, *((name, json.dumps(values, ensure_ascii=False)) for name, values in lists.items())]


def _header_parameters(route: Route, call: TunnelCall) -> list[tuple[str, str]]:
    sent = {name.lower(): value for name, value in call.headers}
    wanted = [parameter.name for parameter in route.parameters if parameter.place == "header"]
    return [(name, sent[name.lower()]) for name in wanted if name.lower() in sent]


def _query_names(route: Route) -> set[str]:
    return {parameter.name for parameter in route.parameters if parameter.place == "query" and not parameter.shared}


def _repeated(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Names that are there more than once: the platform keeps the last of them, a list in the body keeps all."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: several for name, several in values.items() if len(several) > 1}


def _body(route: Route, call: TunnelCall) -> dict[str, Any]:
    headers = {name.lower(): value for name, value in call.headers}
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise NotCarried(_UNSUPPORTED, f"the body is compressed ({headers['content-encoding']}); {_ONLY_THE_TUNNEL}")
    content_type = headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if not call.body and not kind.startswith("multipart/"):
        return _empty(route, content_type)
    if route.request_format.encoding == "binary":
        return _typed({"data": _base64(call.body)}, content_type)
    if route.request_format.encoding == "text":
        return _typed({"text": _text(call.body, content_type)}, content_type)
    if kind.startswith("multipart/"):
        return _joined(_multipart_pairs(content_type, call.body))
    if kind == "application/x-www-form-urlencoded" and route.request_format.encoding != "json":
        return _joined(parse_qsl(_text(call.body, content_type), keep_blank_values=True))
    return _json(route, call.body, kind)


def _empty(route: Route, content_type: str) -> dict[str, Any]:
    empties = {"binary": {"data": ""}, "text": {"text": ""}}
    body = empties.get(route.request_format.encoding)
    return _typed(body, content_type) if body is not None else {}


def _typed(body: Mapping[str, Any], content_type: str) -> dict[str, Any]:
    return {**body, "content_type": content_type} if content_type else {**body}


def _text(data: bytes, content_type: str) -> str:
    try:
        return data.decode(parameters(content_type).get("charset") or "utf-8")
    except (UnicodeDecodeError, LookupError) as error:
        raise NotCarried(
            _UNSUPPORTED, f"the body is not the text that it says it is ({error}); {_ONLY_THE_TUNNEL}"
        ) from error


def _multipart_pairs(content_type: str, body: bytes) -> list[tuple[str, Any]]:
    try:
        return [(field.name, _value(field)) for field in fields_of(content_type, body)]
    except NotMultipart as error:
        raise NotCarried(_BAD, f"the multipart body cannot be read: {error}") from error


def _value(field: Field) -> Any:
    if field.filename is None:
        return _text(field.data, field.content_type)
    kind = field.content_type or "application/octet-stream"
    return {"filename": field.filename, "content_type": kind, "data": _base64(field.data)}


def _joined(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Fields as keys; one that is there more than once is a list."""
    values: dict[str, list[Any]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: several[0] if len(several) == 1 else several for name, several in values.items()}


def _json(route: Route, data: bytes, kind: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        if kind and "json" not in kind:
            raise NotCarried(_UNSUPPORTED, f"{route.describe()} takes JSON, not {kind}; {_ONLY_THE_TUNNEL}") from error
        raise NotCarried(_BAD, f"the body is not JSON: {error}") from error
    if isinstance(value, dict) and not route.request_format.wrapped:
        return value
    return {"body": value}


def _base64(data: bytes) -> str:
    return pybase64.b64encode(data).decode("ascii")
