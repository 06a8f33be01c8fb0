"""Conversion of a caller's JSON object to the body that the service expects. Pure.

The README documents what callers send ("Calling a chute"). A file is ``{"filename", "content_type", "data": base64}``, a
``data:`` URI or ``<field>_base64``. A binary body is ``{"data", "content_type"}``, and its data may also be a file. A text
body is ``{"text"}``. JSON that is not an object is ``{"body"}``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
from aiohttp import MultipartWriter, payload

from chutes_wrappers.core.routes import RequestFormat
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.files import (
    BASE64_SUFFIX,
    BINARY_TYPE,
    FILE_FORMATS,
    TEXT_TYPE,
    UNSENDABLE,
    File,
    decode_base64,
    file_from_base64,
    is_file_object,
    make_file_error,
    parse_file,
)

JSON_TYPE = "application/json"


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
    return RequestFormat(encoding="multipart" if has_file else "json")


def encode_body(request: RequestFormat, body: Any, *, may_be_empty: bool) -> Body:
    """Encode ``body``, the caller's JSON without the parameters, in the format of ``request``.

    ``may_be_empty``: an empty object means no body. Raises CallFailed with what is invalid and what is expected,
    UnicodeEncodeError for an unpaired surrogate, and RecursionError for a body that is nested too deeply.
    """
    if request.encoding in ("json", "none") and not isinstance(body, Mapping):
        return _encode_json_value(body, request)
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
    if request.wrapped is None and set(body) == {"body"} and not isinstance(body["body"], Mapping):
        return _encode_json_value(body["body"], request)
    return _encode_json_value(body, request)


def _encode_json_value(value: Any, request: RequestFormat) -> Body:
    try:
        data = orjson.dumps(value)  # NaN and infinity become null: JSON has no value for them
    except TypeError:  # integers beyond 64 bits, or very deep
        data = json.dumps(value, ensure_ascii=False).encode()
    return Body(make=lambda: data, content_type=request.content_type or JSON_TYPE)


def _encode_text(body: Mapping[str, Any], request: RequestFormat) -> Body:
    text = _get_single_field(body, "text", request)
    if not isinstance(text, str):
        raise CallFailed("`text` is not a string")
    data = text.encode()
    return Body(make=lambda: data, content_type=_get_content_type(body) or request.content_type or TEXT_TYPE)


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
    pairs = [(name, _to_text(value)) for name, value in _iter_fields(body)]
    data = urlencode(pairs).encode()
    return Body(make=lambda: data, content_type=request.content_type or "application/x-www-form-urlencoded")


def _encode_multipart(body: Mapping[str, Any], request: RequestFormat) -> Body:
    parts = [_build_part(name, value, request.files) for name, value in _iter_fields(body)]
    return Body(make=lambda: _build_multipart(parts))


def _iter_fields(body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the fields in the caller's order; a list repeats its field, null is left out."""
    for name, value in body.items():
        for item in value if isinstance(value, list) else [value]:
            if item is not None:
                yield name, item


def _build_part(name: str, value: Any, files: tuple[str, ...] | None) -> tuple[str, File | bytes]:
    """Return a field's name, and its file or text. ``files`` are the fields that are files, None if that is unknown."""
    if UNSENDABLE.search(name):
        raise CallFailed(f"{name!r} is not a valid field name: use letters, digits and punctuation", field=name)
    base_name = name.removesuffix(BASE64_SUFFIX)
    if isinstance(value, str) and base_name != name and (_is_base64(value) if files is None else base_name in files):
        return base_name, file_from_base64(base_name, value)
    declared = files is not None and name in files
    # Specifications also declare files as strings. So an object with a file's keys is always a file, and text is not.
    is_candidate = declared or files is None or isinstance(value, Mapping)
    if is_candidate and (file := parse_file(name, value, declared=declared)):
        return name, file
    if declared:
        raise make_file_error(name)
    return name, _to_text(value).encode()


def _is_base64(text: str) -> bool:
    try:
        file_from_base64("", text)
    except CallFailed:
        return False
    return True


def _to_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _build_multipart(parts: list[tuple[str, File | bytes]]) -> MultipartWriter:
    writer = MultipartWriter("form-data")
    for name, value in parts:
        if isinstance(value, bytes):
            part: payload.Payload = payload.BytesPayload(value)
            disposition = {"name": name}
        else:
            part = payload.BytesPayload(value.data, content_type=value.content_type)
            disposition = {"name": name, "filename": value.filename}
        # Unquoted UTF-8, as browsers send it: every current parser reads it.
        part.set_content_disposition("form-data", quote_fields=False, **disposition)
        if isinstance(value, bytes) and part.headers is not None:
            part.headers.popall("Content-Type", None)
        writer.append_payload(part)
    return writer


_ENCODERS: dict[str, Callable[[Mapping[str, Any], RequestFormat], Body]] = {
    "json": _encode_json,
    "none": _encode_json,
    "text": _encode_text,
    "binary": _encode_binary,
    "form": _encode_form,
    "multipart": _encode_multipart,
}
