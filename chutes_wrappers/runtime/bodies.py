"""Conversion of a caller's JSON object to the body that the service expects. Pure.

The README documents what callers send ("Calling a chute"). A file is ``{"filename", "content_type", "data": base64}``, a
``data:`` URI or ``<field>_base64``. A binary body is ``{"data", "content_type"}``, and its data may also be a file. A text
body, XML among them, is ``{"text"}``. JSON that is not an object is ``{"body"}``, and so is a list of JSON lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from chutes_wrappers.core.routes import RequestFormat
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.files import (
    BINARY_TYPE,
    FILE_FORMATS,
    TEXT_TYPE,
    UNSENDABLE,
    decode_base64,
    is_file_object,
    parse_file,
)
from chutes_wrappers.runtime.form_bodies import build_parts, build_urlencoded, write_multipart
from chutes_wrappers.runtime.media_types import FORM_TYPE, JSON_TYPE, encode_text, get_parameter, parse_essence
from chutes_wrappers.runtime.styles import format_json

LINES_TYPE = "application/jsonl"
_JSON, _MULTIPART = RequestFormat(encoding="json"), RequestFormat(encoding="multipart")


@dataclass(frozen=True, kw_only=True)
class Body:
    """A request body: a factory of aiohttp's ``data`` (a retried request needs a new one), and its media type.

    ``make`` cannot fail: the caller's values have been checked and encoded. ``content_type`` is empty if the data has its
    own (multipart) or if there is none.
    """

    make: Callable[[], Any] = lambda: None
    content_type: str = ""


def infer_request_format(body: Any) -> RequestFormat:
    """Return the format of a body without a declared format: multipart if it contains a file, else JSON."""
    values = body.values() if isinstance(body, Mapping) else ()
    has_file = any(
        isinstance(item, Mapping) and is_file_object(item, declared=False)
        for value in values
        for item in (value if isinstance(value, list) else [value])
    )
    return _MULTIPART if has_file else _JSON


def encode_body(request: RequestFormat, body: Any, *, may_be_empty: bool) -> Body:
    """Encode ``body``, the caller's JSON without the parameters, in the format of ``request``.

    ``may_be_empty``: an empty object means no body. Raises CallFailed with what is invalid and what is expected,
    UnicodeEncodeError for an unpaired surrogate, and RecursionError for a body that is nested too deeply.
    """
    if request.encoding in ("json", "none") and not isinstance(body, Mapping):
        return _encode_json_value(body, request)
    if request.encoding == "lines" and isinstance(body, list):
        return _encode_lines(body, request)
    if not isinstance(body, Mapping):
        raise CallFailed(f"this route expects a JSON object, not a {type(body).__name__}")
    if not body and may_be_empty:
        return Body()
    return _ENCODERS[request.encoding](body, request)


def _encode_json(body: Mapping[str, Any], request: RequestFormat) -> Body:
    if request.wrapped:
        if set(body) - {"body"}:
            others = ", ".join(sorted(set(body) - {"body"}))
            raise CallFailed(f'this route expects {{"body": …}} and its parameters; unknown: {others}')
        return _encode_json_value(body["body"], request) if body else Body()
    if request.wrapped is None and set(body) == {"body"} and _is_wrapped(body["body"]):
        return _encode_json_value(body["body"], request)
    return _encode_json_value(body, request)


def _is_wrapped(value: Any) -> bool:
    """Return whether ``value`` under the only key ``body`` is the whole body, where no schema says so.

    An object is not, so that a caller's object stays what it is. Only ``{"body": …}`` in it is unwrapped once: so every
    object can be sent.
    """
    return not isinstance(value, Mapping) or set(value) == {"body"}


def _encode_json_value(value: Any, request: RequestFormat) -> Body:
    content_type = request.content_type or JSON_TYPE
    charset = get_parameter(content_type, "charset").lower()
    if charset not in ("", "utf-8", "utf8"):
        data = encode_text(format_json(value), content_type, "body")
    else:
        try:
            data = orjson.dumps(value)  # NaN and infinity become null: JSON has no value for them
        except TypeError:  # integers beyond 64 bits, or very deep
            data = format_json(value).encode()
    return Body(make=lambda: data, content_type=content_type)


def _encode_text(body: Mapping[str, Any], request: RequestFormat) -> Body:
    text = _get_single_field(body, "text", request)
    if not isinstance(text, str):
        raise CallFailed("`text` is not a string")
    content_type = _get_content_type(body) or request.content_type or TEXT_TYPE
    data = encode_text(text, content_type, "text")
    return Body(make=lambda: data, content_type=content_type)


def _encode_binary(body: Mapping[str, Any], request: RequestFormat) -> Body:
    value = _get_single_field(body, "data", request)
    file = parse_file("data", value, declared=True)
    if file is None and not isinstance(value, str):
        raise CallFailed("`data` is neither a base64 string nor a file: " + FILE_FORMATS % "data", field="data")
    data = file.data if file else decode_base64("data", value)
    content_type = _get_content_type(body) or (file.content_type if file else request.content_type) or BINARY_TYPE
    return Body(make=lambda: data, content_type=content_type)


def _get_single_field(body: Mapping[str, Any], key: str, request: RequestFormat) -> Any:
    if key not in body or set(body) - {key, "content_type"}:
        raise CallFailed(
            f'this route expects a {request.encoding} body: {{"{key}": …, "content_type": …}} and its parameters, '
            f"not {', '.join(map(str, body)) or 'nothing'}"
        )
    return body[key]


def _get_content_type(body: Mapping[str, Any]) -> str:
    content_type = body.get("content_type") or ""
    if not isinstance(content_type, str) or UNSENDABLE.search(content_type):
        raise CallFailed("`content_type` is not a valid media type, such as image/png", field="content_type")
    return content_type


def _encode_form(body: Mapping[str, Any], request: RequestFormat) -> Body:
    data = build_urlencoded(body, request.parts)
    return Body(make=lambda: data, content_type=request.content_type or FORM_TYPE)


def _encode_multipart(body: Mapping[str, Any], request: RequestFormat) -> Body:
    parts = build_parts(body, request)
    kind, _, subtype = parse_essence(request.content_type).partition("/")
    return Body(make=lambda: write_multipart(parts, subtype if kind == "multipart" else "form-data"))


def _encode_lines(body: Any, request: RequestFormat) -> Body:
    items = body["body"] if isinstance(body, Mapping) and set(body) == {"body"} else body
    if not isinstance(items, list):
        raise CallFailed('this route expects a list of JSON values: {"body": […]} and its parameters')
    content_type = request.content_type or LINES_TYPE
    start = "\x1e" if parse_essence(content_type).endswith("json-seq") else ""
    data = "".join(f"{start}{format_json(item)}\n" for item in items).encode()
    return Body(make=lambda: data, content_type=content_type)


_ENCODERS: dict[str, Callable[[Any, RequestFormat], Body]] = {
    "json": _encode_json,
    "lines": _encode_lines,
    "none": _encode_json,
    "text": _encode_text,
    "binary": _encode_binary,
    "form": _encode_form,
    "multipart": _encode_multipart,
}
