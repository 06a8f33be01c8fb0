"""Conversion of the body of a request for the service to the JSON body of its route's public call. Pure.

What is returned are candidates: ``exact_calls`` chooses one that arrives as the client sent it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_plus

import pybase64

from chutes_wrappers.core.routes import PartFormat, Route
from chutes_wrappers.host.forwarding.client_values import decode_query_values
from chutes_wrappers.host.forwarding.http_values import InexactJson, parse_exact_json, parse_media_type
from chutes_wrappers.host.forwarding.local_names import get_header
from chutes_wrappers.host.forwarding.multipart_reader import Field, InvalidMultipart, parse_multipart
from chutes_wrappers.host.forwarding.tunnel_required import TunnelRequired
from chutes_wrappers.runtime.files import BINARY_TYPE
from chutes_wrappers.runtime.media_types import FORM_TYPE, is_json
from chutes_wrappers.runtime.tunnel_frames import TunnelCall

_LONGEST_VALUE = 100
_UNSUPPORTED = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def iter_bodies(route: Route, call: TunnelCall) -> Iterator[dict[str, Any]]:
    """Yield the JSON bodies that may mean the body of ``call``, the most usual first.

    Raises TunnelRequired for a body that no call of the route can have, also because it is not valid.
    """
    coding = get_header(call.headers, "content-encoding").strip().lower()
    if coding not in ("", "identity"):
        raise TunnelRequired(f"the body is compressed ({coding[:_LONGEST_VALUE]})", status=_UNSUPPORTED)
    content_type = get_header(call.headers, "content-type")
    kind, _ = parse_media_type(content_type)
    encoding = route.request_format.encoding
    if not call.body and not content_type and route.may_omit_body:
        yield {}
    elif encoding == "binary":
        data = pybase64.b64encode(call.body).decode("ascii")
        # Without a type a body is bytes (RFC 9110, section 8.3).
        yield {"data": data, "content_type": content_type or BINARY_TYPE}
    elif encoding == "text":
        text = _decode_text(call.body, content_type)
        yield {"text": text, **({"content_type": content_type} if content_type else {})}
    elif not call.body and not kind.startswith("multipart/"):
        yield {"body": []} if encoding == "lines" else {}
    elif kind.startswith("multipart/") and _accepts(route, "multipart"):
        yield from _iter_multipart(route, content_type, call.body)
    elif kind == FORM_TYPE and _accepts(route, "form"):
        yield from _iter_forms(route, _decode_text(call.body, content_type))
    elif encoding == "lines":
        yield {"body": [*map(_parse_json, split_lines(call.body))]}
    else:
        yield from _iter_json(route, call.body, kind)


def split_lines(body: bytes) -> list[bytes]:
    """Return the JSON texts of JSON lines or a JSON text sequence (RFC 7464)."""
    return [line for line in body.replace(b"\x1e", b"\n").split(b"\n") if line.strip()]


def _accepts(route: Route, encoding: str) -> bool:
    return route.request is None or route.request.encoding == encoding


def _iter_json(route: Route, data: bytes, kind: str) -> Iterator[dict[str, Any]]:
    if not is_json(kind):
        name = kind[:_LONGEST_VALUE] or "without a Content-Type"
        expected = route.request_format.content_type or "application/json"
        raise TunnelRequired(
            f"{route.describe()} sends a body as {expected}, and this one is {name}", status=_UNSUPPORTED
        )
    value = _parse_json(data)
    is_unwrapped = not route.native and route.request_format.wrapped is not False
    if isinstance(value, dict) and not (is_unwrapped and set(value) == {"body"}):
        yield value
    yield {"body": value}


def _parse_json(data: bytes) -> Any:
    try:
        return parse_exact_json(data)
    except InexactJson as error:
        raise TunnelRequired(str(error)) from error
    except ValueError as error:
        raise TunnelRequired(f"the body is not valid JSON: {error}") from error


def _decode_text(data: bytes, content_type: str) -> str:
    charset = parse_media_type(content_type)[1].get("charset", "utf-8")
    try:
        return data.decode(charset)
    except (LookupError, ValueError) as error:  # some of Python's codecs are not for text
        raise TunnelRequired(f"the body is not valid text of its charset ({error})", status=_UNSUPPORTED) from error


def _iter_forms(route: Route, text: str) -> Iterator[dict[str, Any]]:
    raws: dict[str, list[str]] = {}
    for token in filter(None, text.split("&")):
        name, _, value = token.partition("=")
        raws.setdefault(unquote_plus(name), []).append(value)
    parts = route.request_format.parts
    yield {name: _decode_field(parts.get(name), values) for name, values in raws.items()}
    yield _join_pairs((name, unquote_plus(value)) for name, values in raws.items() for value in values)


def _decode_field(part: PartFormat | None, raws: list[str]) -> Any:
    """Return a form's field as the caller gives it: a list or an object where the route has a style or JSON for it."""
    values = [unquote_plus(raw) for raw in raws]
    if part is not None and is_json(part.content_type):
        parsed = [_parse_json(value.encode("utf-8", "surrogatepass")) for value in values]
        return parsed[0] if len(parsed) == 1 and not isinstance(parsed[0], list) else parsed
    if part is not None and (part.style or part.explode is False) and len(raws) == 1:
        text = decode_query_values(part, "array", raws)
        items = json.loads(text) if text else values
        return items if len(items) > 1 else values[0]
    return values[0] if len(values) == 1 else values


def _iter_multipart(route: Route, content_type: str, body: bytes) -> Iterator[dict[str, Any]]:
    try:
        fields = parse_multipart(content_type, body)
    except InvalidMultipart as error:
        raise TunnelRequired(f"the multipart body cannot be read: {error}") from error
    parts = route.request_format.parts
    yield _join_pairs((field.name, _encode_field(parts.get(field.name), field)) for field in fields)


def _encode_field(part: PartFormat | None, field: Field) -> Any:
    if field.filename is not None:
        data = pybase64.b64encode(field.data).decode("ascii")
        return {"filename": field.filename, "content_type": field.content_type or "text/plain", "data": data}
    declared = part.content_type if part else ""
    if is_json(field.content_type or declared):
        return _parse_json(field.data)
    return _decode_text(field.data, field.content_type)


def _join_pairs(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields as keys; a repeated field becomes a list, and so does one whose only value is a list."""
    groups: dict[str, list[Any]] = {}
    for name, value in pairs:
        groups.setdefault(name, []).append(value)
    return {
        name: values[0] if len(values) == 1 and not isinstance(values[0], list) else values
        for name, values in groups.items()
    }
