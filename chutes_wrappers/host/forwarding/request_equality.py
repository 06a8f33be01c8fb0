"""Comparison of a client's request with the one that the gateway would send to the service. Pure.

Two requests are equal if every service parses them alike: other spellings of a path, query, form, JSON or multipart body. The
order of different names in a query, in cookies and in a JSON object is ignored. The order of a form's or multipart body's
fields is compared (RFC 7578, section 5.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.forwarding.http_values import (
    format_canonical,
    normalise_path,
    parse_cookies,
    parse_exact_json,
    parse_media_type,
    parse_pairs,
)
from chutes_wrappers.host.forwarding.local_names import get_header
from chutes_wrappers.host.forwarding.multipart_reader import Field, InvalidMultipart, parse_multipart
from chutes_wrappers.host.forwarding.public_bodies import split_lines
from chutes_wrappers.runtime.files import BINARY_TYPE
from chutes_wrappers.runtime.media_types import FORM_TYPE, is_json
from chutes_wrappers.runtime.tunnel_frames import Header, TunnelCall
from chutes_wrappers.runtime.upstream import UpstreamRequest

_UTF8 = ("charset", "utf-8")


def find_difference(route: Route, call: TunnelCall, request: UpstreamRequest, *, has_rest: bool = False) -> str | None:
    """Return what of ``call`` the ``request`` would change, as a sentence without its values; None if it is the same.

    ``has_rest``: slashes in the last path variable may have become ``%2F``.
    """
    if request.method != call.method:
        return f"the method would become {request.method}"
    path, _, query = call.target.partition("?")
    sent_path, _, sent_query = request.target.partition("?")
    if not _is_same_path(route, path, sent_path, has_rest=has_rest):
        return "the path would be written differently"
    if name := _find_pair_difference(route, query, sent_query):
        return f"the query parameter {name!r} would change"
    if name := _find_header_difference(route, call.headers, request) or _find_cookie_difference(call.headers, request):
        return f"{name} would change"
    return _find_body_difference(call, request)


def _is_same_path(route: Route, path: str, sent: str, *, has_rest: bool) -> bool:
    has_lists = any(parameter.place == "path" and parameter.type for parameter in route.parameters)
    delimiters = ";," if has_lists else ";"
    if has_rest:
        path, sent = path.replace("/", "%2F"), sent.replace("/", "%2F")
    return normalise_path(path, delimiters) == normalise_path(sent, delimiters)


def _find_pair_difference(route: Route, query: str, sent: str) -> str | None:
    """Return the first name whose values differ."""
    lists = {
        parameter.name.encode()
        for parameter in route.parameters
        if parameter.place == "query" and parameter.type and parameter.explode is False and not parameter.content_type
    }
    return _find_group_difference(_group(query, lists), _group(sent, lists))


def _group(query: str, lists: set[bytes]) -> dict[bytes, list[Any]]:
    groups: dict[bytes, list[Any]] = {}
    tokens = [token for token in query.split("&") if token]
    for token, (name, value) in zip(tokens, parse_pairs(query), strict=True):
        # A delimiter of a list means something else than the same character, encoded.
        items = token.partition("=")[2].split(",") if name in lists else None
        groups.setdefault(name, []).append([parse_pairs(f"x={item}") for item in items] if items else value)
    return groups


def _find_group_difference(ours: dict[bytes, list[Any]], theirs: dict[bytes, list[Any]]) -> str | None:
    names = (name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name))
    name = next(names, None)
    return None if name is None else name.decode("utf-8", "replace")


def _find_header_difference(route: Route, headers: Sequence[Header], request: UpstreamRequest) -> str | None:
    sent = {name.lower(): value for name, value in request.headers.items()}
    declared = {parameter.name.lower() for parameter in route.parameters if parameter.place == "header"}
    present = {name.lower() for name, _ in headers}
    for name in sorted((sent.keys() | (declared & present)) - {"content-type", "cookie"}):
        lines = [value for key, value in headers if key.lower() == name]
        if name not in sent or _split_list(lines) != _split_list([_encode_bytes(sent[name])]):
            return f"the header {name}"
    return None


def _find_cookie_difference(headers: Sequence[Header], request: UpstreamRequest) -> str | None:
    ours = parse_cookies(value for name, value in headers if name.lower() == "cookie")
    theirs = parse_cookies([_encode_bytes(get_header([*request.headers.items()], "cookie"))])
    for name, _ in [*ours, *theirs]:
        if [value for key, value in ours if key == name] != [value for key, value in theirs if key == name]:
            return f"the cookie {name}"
    return None


def _encode_bytes(value: str) -> str:
    """Return a header's value as it is read on the wire: each byte as one character."""
    return value.encode("utf-8", "surrogatepass").decode("latin-1")


def _split_list(lines: Iterable[str]) -> list[str]:
    return [item.strip(" \t") for line in lines for item in line.split(",")]


def _find_body_difference(call: TunnelCall, request: UpstreamRequest) -> str | None:
    data = request.make_data()
    body = _read_data(data)
    if not call.body and not body:
        return None
    if not call.body or not body:
        return "the body would be lost" if call.body else "a body would be sent, and this request has none"
    content_type = get_header(call.headers, "content-type") or BINARY_TYPE
    sent_type = get_header([*request.headers.items()], "content-type") or getattr(data, "content_type", "")
    kind, _ = _parse_meaning(content_type)
    if _parse_meaning(content_type) != _parse_meaning(sent_type):
        return f"the Content-Type would become {sent_type}"
    return None if body == call.body else _compare_bodies(kind, (content_type, call.body), (sent_type, body))


def _read_data(data: Any) -> bytes:
    """Return the bytes of a body as aiohttp sends it."""
    if data is None or isinstance(data, bytes | bytearray):
        return bytes(data or b"")
    if isinstance(data, str):
        return data.encode()
    writing = data.as_bytes()  # a payload of aiohttp, whose parts are in memory
    try:
        writing.send(None)
    except StopIteration as stop:
        return bytes(stop.value)
    raise TypeError(f"{type(data).__name__} cannot be read at once")


def _parse_meaning(content_type: str) -> tuple[str, dict[str, str]]:
    kind, parameters = parse_media_type(content_type)
    return kind, _select_meaning(kind, parameters)


def _select_meaning(kind: str, parameters: dict[str, str]) -> dict[str, str]:
    """Return the parameters of a media type without those that change nothing."""
    if kind.startswith("multipart/"):
        return {name: value for name, value in parameters.items() if name != "boundary"}
    if is_json(kind) or kind == FORM_TYPE:
        return {name: value for name, value in parameters.items() if (name, value) != _UTF8}
    return parameters


def _compare_bodies(kind: str, ours: tuple[str, bytes], theirs: tuple[str, bytes]) -> str | None:
    """Compare two bodies, each with its media type, whose bytes differ."""
    try:
        if is_json(kind):
            is_same = format_canonical(parse_exact_json(ours[1])) == format_canonical(parse_exact_json(theirs[1]))
        elif kind == FORM_TYPE:
            is_same = parse_pairs(ours[1].decode()) == parse_pairs(theirs[1].decode())
        elif kind.startswith("multipart/"):
            return _compare_fields(parse_multipart(*ours), parse_multipart(*theirs))
        else:
            is_same = "json" in kind and _parse_lines(ours[1]) == _parse_lines(theirs[1])
    except (ValueError, InvalidMultipart):
        is_same = False
    return None if is_same else "the body would change"


def _parse_lines(body: bytes) -> list[bytes]:
    return [format_canonical(parse_exact_json(line)) for line in split_lines(body)]


def _compare_fields(ours: list[Field], theirs: list[Field]) -> str | None:
    if [field.name for field in ours] != [field.name for field in theirs]:
        return "the order of the fields would change, or their names"
    for our, their in zip(ours, theirs, strict=True):
        if _describe_field(our) != _describe_field(their):
            return f"the field {our.name!r} would change"
    return None


def _describe_field(field: Field) -> tuple[Any, ...]:
    # A part without a type is text (RFC 7578, section 4.4).
    kind, parameters = parse_media_type(field.content_type or "text/plain")
    data: Any = field.data
    if is_json(kind) and field.filename is None:
        data = format_canonical(parse_exact_json(field.data))
    if kind == "text/plain" or is_json(kind):
        parameters = {name: value for name, value in parameters.items() if (name, value) != _UTF8}
    return field.filename, kind, parameters, data, field.others
