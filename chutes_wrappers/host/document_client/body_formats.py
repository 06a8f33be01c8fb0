"""Request bodies as a client of the service encodes them. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.document_client.operation import OperationBody, ValueFormat
from chutes_wrappers.host.document_client.value_formats import iterate_query, to_text

_FILE_KEYS = {"filename", "content_type", "data"}
_BASE64_SUFFIX = "_base64"
EncodedBody = tuple[bytes, str]


def encode_body(body: OperationBody, fields: Mapping[str, Any]) -> EncodedBody:
    """Return the bytes of the body for the caller's ``fields``, and their media type.

    Raises WrapperError for a value that the body cannot have.
    """
    items = (item for value in fields.values() for item in (value if isinstance(value, list) else [value]))
    kind = "multipart" if body.is_assumed and any(map(_looks_like_file, items)) else body.kind
    return _ENCODERS[kind](body, fields)


def encode_json(value: Any) -> bytes:
    """Return compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def is_wrapper(fields: Mapping[str, Any]) -> bool:
    """Return whether ``fields`` say a JSON value as ``{"body": …}``, where no schema tells: not if that value is an object.

    An object whose only key is ``body`` is said as ``{"body": {"body": …}}``.
    """
    if fields.keys() != {"body"}:
        return False
    return not isinstance(fields["body"], Mapping) or fields["body"].keys() == {"body"}


def _encode_json_body(body: OperationBody, fields: Mapping[str, Any]) -> EncodedBody:
    is_wrapped = is_wrapper(fields) if body.is_wrapped is None else body.is_wrapped
    if is_wrapped and fields.keys() != {"body"}:
        raise WrapperError(f"the body is not an object, so a call has it as `body`, and not {', '.join(fields)}")
    return encode_json(fields["body"] if is_wrapped else fields), body.content_type or "application/json"


def _encode_lines(body: OperationBody, fields: Mapping[str, Any]) -> EncodedBody:
    items = fields.get("body")
    if not isinstance(items, list):
        raise WrapperError("a body of lines needs a list as `body`")
    start = b"\x1e" if "json-seq" in body.content_type else b""
    return b"".join(start + encode_json(item) + b"\n" for item in items), body.content_type or "application/jsonl"


def _encode_text(body: OperationBody, fields: Mapping[str, Any]) -> EncodedBody:
    text = fields.get("text")
    if not isinstance(text, str):
        raise WrapperError("a text body needs `text`")
    content_type = str(fields.get("content_type") or body.content_type or "text/plain; charset=utf-8")
    charset = content_type.lower().partition("charset=")[2].partition(";")[0].strip(" \"'") or "utf-8"
    try:
        return text.encode(charset), content_type
    except (LookupError, UnicodeEncodeError) as error:
        raise WrapperError(f"the text cannot be written in {charset}: {error}") from error


def _encode_binary(body: OperationBody, fields: Mapping[str, Any]) -> EncodedBody:
    data = fields.get("data")
    if data is None:
        raise WrapperError("a binary body needs `data`")
    if isinstance(data, Mapping) or (isinstance(data, str) and data[:5].lower() == "data:"):
        content, _, own_type = _read_file("data", data)
    else:
        content, own_type = _decode_base64("data", data), ""
    return content, str(fields.get("content_type") or own_type or body.content_type or "application/octet-stream")


def _encode_form(body: OperationBody, fields: Mapping[str, Any]) -> EncodedBody:
    text = encode_form(fields, body.formats).replace(
        "%20", "+"
    )  # WHATWG URL, "application/x-www-form-urlencoded serializing"
    return text.encode(), body.content_type or "application/x-www-form-urlencoded"


def encode_form(fields: Mapping[str, Any], formats: Mapping[str, ValueFormat]) -> str:
    """Return ``fields`` urlencoded: a body, or a whole query string."""
    pairs = (
        pair
        for name, value in fields.items()
        if value is not None
        for pair in _iterate_form_field(name, value, formats.get(name, ValueFormat()))
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def _iterate_form_field(name: str, value: Any, value_format: ValueFormat) -> Iterator[tuple[str, str]]:
    """Yield the pairs of one field. Without a style an object is JSON, and a list repeats the field."""
    is_styled = bool(value_format.style) or value_format.explode is not None or value_format.allow_reserved
    if is_styled and not value_format.content_type:
        yield from iterate_query(name, value, value_format)
        return
    for item in value if isinstance(value, list) else [value]:
        text = _format_item(name, item, value_format.content_type).decode()
        yield quote(name, safe=""), quote(text, safe="")


def _format_item(name: str, item: Any, content_type: str) -> bytes:
    """Return a value in the media type of its field or part."""
    if "json" in content_type:
        return encode_json(item)
    if isinstance(item, Mapping) and "x-www-form-urlencoded" in content_type:
        return encode_form(item, {}).replace("%20", "+").encode()
    if isinstance(item, (Mapping, list)) and content_type and not content_type.startswith("text/plain"):
        raise WrapperError(f"`{name}` is {content_type}, and the call has no text for it")
    return to_text(item).encode()


def _encode_multipart(body: OperationBody, fields: Mapping[str, Any]) -> EncodedBody:
    parts = [part for name, value in fields.items() if value is not None for part in _iterate_parts(body, name, value)]
    boundary = hashlib.sha256(b"".join(parts)).hexdigest()[
        :32
    ]  # as long as the gateway's: a service may repeat the length
    content = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    media_type = body.content_type or "multipart/form-data"
    return content + f"--{boundary}--\r\n".encode(), f"{media_type}; boundary={boundary}"


def _iterate_parts(body: OperationBody, name: str, value: Any) -> Iterator[bytes]:
    base_name, value_format = name.removesuffix(_BASE64_SUFFIX), body.formats.get(name, ValueFormat())
    if base_name != name and isinstance(value, str) and base_name in (body.files or ()):
        yield _build_part(base_name, _decode_base64(name, value), value_format, "application/octet-stream", "file")
        return
    is_file = name in (body.files or ())
    is_styled = bool(value_format.style) or value_format.explode is not None or value_format.allow_reserved
    if not is_file and is_styled and not value_format.content_type and isinstance(value, (list, Mapping)):
        for key, item in _iterate_styled(name, value, value_format):
            yield _build_part(key, item.encode(), value_format, "")
        return
    for item in value if isinstance(value, list) else [value]:
        if item is not None:
            yield _build_item_part(body, name, item, value_format)


def _iterate_styled(name: str, value: Any, value_format: ValueFormat) -> Iterator[tuple[str, str]]:
    """Yield names and texts of the parts of a value with a style (OpenAPI 3.1); nothing in them is percent-encoded."""
    for key, text in iterate_query(name, value, value_format):
        yield unquote_to_bytes(key).decode(), unquote_to_bytes(text).decode()


def _build_item_part(body: OperationBody, name: str, item: Any, value_format: ValueFormat) -> bytes:
    is_file = name in body.files if body.files is not None else False
    if is_file or _looks_like_file(item):
        content, filename, content_type = _read_file(name, item)
        declared = value_format.content_type if not set("*,") & set(value_format.content_type) else ""
        content_type = content_type or declared or "application/octet-stream"
        return _build_part(name, content, value_format, content_type, filename or "file")
    content_type = value_format.content_type.split(",")[0].strip()
    if not content_type and isinstance(item, (Mapping, list)):
        content_type = "application/json"
    content = _format_item(name, item, content_type)
    return _build_part(name, content, value_format, "" if "*" in content_type else content_type)


def _build_part(
    name: str, content: bytes, value_format: ValueFormat, content_type: str, filename: str | None = None
) -> bytes:
    disposition = f'form-data; name="{_quote_name(name)}"'
    if filename is not None:
        disposition += f'; filename="{_quote_name(filename)}"'
    headers = {"Content-Disposition": disposition, **({"Content-Type": content_type} if content_type else {})}
    headers |= value_format.headers
    return "".join(f"{key}: {text}\r\n" for key, text in headers.items()).encode() + b"\r\n" + content


def _quote_name(text: str) -> str:
    """Return a name as browsers write it in a multipart body (WHATWG HTML, "multipart/form-data encoding algorithm")."""
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def _looks_like_file(value: Any) -> bool:
    return isinstance(value, Mapping) and "data" in value and len(value) > 1 and value.keys() <= _FILE_KEYS


def _read_file(name: str, value: Any) -> tuple[bytes, str, str]:
    """Return content, file name and media type of a caller's file: an object with ``data``, or a ``data:`` URI."""
    if isinstance(value, Mapping) and isinstance(value.get("data"), str):
        content, _, content_type = (
            _read_file(name, value["data"])
            if value["data"][:5].lower() == "data:"
            else (_decode_base64(name, value["data"]), "", "")
        )
        return content, str(value.get("filename") or ""), str(value.get("content_type") or content_type)
    if not isinstance(value, str) or value[:5].lower() != "data:" or "," not in value:
        raise WrapperError(f"`{name}` is a file: the call has it neither as an object with `data` nor as a data: URI")
    header, _, data = value[5:].partition("#")[0].partition(",")
    content_type, is_base64 = header.strip(), False
    if content_type.lower().replace(" ", "").endswith(";base64"):
        content_type, is_base64 = content_type[: content_type.rindex(";")].strip(), True
    if not content_type or content_type.startswith(";"):
        content_type = f"text/plain{content_type or ';charset=US-ASCII'}"
    content = unquote_to_bytes(data)
    return _decode_base64(name, content.decode("latin-1")) if is_base64 else content, "", content_type


def _decode_base64(name: str, text: Any) -> bytes:
    """Decode base64 as browsers do, and the URL-safe alphabet as well. Raises WrapperError."""
    if not isinstance(text, str):
        raise WrapperError(f"`{name}` is not base64 text")
    compact = "".join(text.split()).translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise WrapperError(f"`{name}` is not valid base64: {error}") from error


_ENCODERS: Mapping[str, Callable[[OperationBody, Mapping[str, Any]], EncodedBody]] = {
    "json": _encode_json_body,
    "lines": _encode_lines,
    "text": _encode_text,
    "binary": _encode_binary,
    "form": _encode_form,
    "multipart": _encode_multipart,
}
