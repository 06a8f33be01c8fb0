"""Urlencoded and multipart bodies, in the formats that OpenAPI's Encoding Objects declare for their fields. Pure.

A list is one value for each item. An object is JSON. A field whose style is declared is written as a query parameter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from aiohttp import MultipartWriter, payload

from chutes_wrappers.core.routes import PartFormat, RequestFormat
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.files import (
    BASE64_SUFFIX,
    UNSENDABLE,
    File,
    file_from_base64,
    is_base64,
    make_file_error,
    parse_file,
)
from chutes_wrappers.runtime.media_types import FORM_TYPE, JSON_TYPE, encode_text, is_json, parse_essence
from chutes_wrappers.runtime.styles import StyledPair, build_pairs, format_json, format_text, quote_in_form

_PLAIN = PartFormat()
_PLAIN_TEXT = "text/plain"
_PART_HEADERS = frozenset({"content-disposition", "content-type", "content-length", "content-transfer-encoding"})


class _Part(NamedTuple):
    """One part of a multipart body. A part without a filename is a field."""

    name: str
    data: bytes
    content_type: str = ""
    filename: str | None = None
    headers: Mapping[str, str] = {}


def build_urlencoded(body: Mapping[str, Any], parts: Mapping[str, PartFormat]) -> bytes:
    """Return the fields of ``body`` as an urlencoded body, in the caller's order; null is left out."""
    pieces = []
    for name, value in body.items():
        part = parts.get(name, _PLAIN)
        encode = partial(quote_in_form, allow_reserved=part.allow_reserved)
        pairs = (
            build_pairs(name, value, part.style, part.explode) if _has_style(part) else _build_plain(name, value, part)
        )
        pieces += [pair.encode(encode) for pair in pairs]
    return "&".join(pieces).encode()


def build_parts(body: Mapping[str, Any], request: RequestFormat) -> list[_Part]:
    """Return the parts of a multipart body. Raises CallFailed for a name or a file that is invalid."""
    return [part for name, value in body.items() for part in _build_field_parts(name, value, request)]


def write_multipart(parts: list[_Part], subtype: str) -> MultipartWriter:
    """Return aiohttp's data for ``parts``. It can be sent once."""
    writer = MultipartWriter(subtype)
    for part in parts:
        data = payload.BytesPayload(part.data, headers=dict(part.headers))
        disposition = {"name": part.name} if part.filename is None else {"name": part.name, "filename": part.filename}
        # Unquoted UTF-8, as browsers send it: every current parser reads it.
        data.set_content_disposition("form-data", quote_fields=False, **disposition)
        data.headers.popall("Content-Type", None)
        if part.content_type:
            data.headers["Content-Type"] = part.content_type
        writer.append_payload(data)
    return writer


def _has_style(part: PartFormat) -> bool:
    return part.style is not None or part.explode is not None or part.allow_reserved


def _build_plain(name: str, value: Any, part: PartFormat) -> Iterator[StyledPair]:
    """Yield one pair for each item of ``value``, as JSON where the part's type or the value says so."""
    for item in _iterate_items(value):
        yield StyledPair(name, (_format_item(name, item, _find_concrete_type(part)),))


def _format_item(name: str, item: Any, content_type: str) -> str:
    """Return ``item`` as text of its media type. Raises CallFailed for a list or an object that has no such text."""
    media_type = parse_essence(content_type)
    if is_json(media_type):
        return format_json(item)
    if not isinstance(item, (Mapping, list)) or media_type in ("", _PLAIN_TEXT):
        return format_text(item)
    if isinstance(item, Mapping) and media_type == FORM_TYPE:
        return build_urlencoded(item, {}).decode()
    raise CallFailed(f"`{name}` is sent as {content_type}: send its text", field=name)


def _iterate_items(value: Any) -> Iterator[Any]:
    yield from (item for item in (value if isinstance(value, list) else [value]) if item is not None)


def _build_field_parts(name: str, value: Any, request: RequestFormat) -> Iterator[_Part]:
    if UNSENDABLE.search(name):
        raise CallFailed(f"{name!r} is not a valid field name: use letters, digits and punctuation", field=name)
    part = request.parts.get(name, _PLAIN)
    if _has_style(part) and name not in (request.files or ()):
        for pair in build_pairs(name, value, part.style, part.explode):
            yield _Part(pair.name, pair.value.encode(), headers=_select_headers(part))
        return
    for item in _iterate_items(value):
        file_name, file = _find_file(name, item, request)
        if file is not None:
            yield _build_file_part(file_name, item, file, request.parts.get(file_name, _PLAIN))
        else:
            yield _build_text_part(name, item, part)


def _find_file(name: str, value: Any, request: RequestFormat) -> tuple[str, File | None]:
    """Return the field's name and its file, None if it is not one. ``files`` are the file fields, None if unknown."""
    files = request.files
    base_name = name.removesuffix(BASE64_SUFFIX)
    if isinstance(value, str) and base_name != name and (is_base64(value) if files is None else base_name in files):
        return base_name, file_from_base64(base_name, value)
    declared = files is not None and name in files
    # Specifications also declare files as strings. So an object with a file's keys is always a file, and text is not. A
    # part that is declared as JSON is never a file.
    is_json_part = not declared and is_json(request.parts.get(name, _PLAIN).content_type)
    is_candidate = declared or files is None or isinstance(value, Mapping)
    if is_candidate and not is_json_part and (file := parse_file(name, value, declared=declared)):
        return name, file
    if declared:
        raise make_file_error(name)
    return name, None


def _build_file_part(name: str, value: Any, file: File, part: PartFormat) -> _Part:
    """Return the part of a file; the declared type is the default for a file whose own type the caller does not say."""
    has_own_type = (isinstance(value, Mapping) and value.get("content_type")) or (
        isinstance(value, str) and value[:5].lower() == "data:"
    )
    content_type = file.content_type if has_own_type else _find_concrete_type(part) or file.content_type
    return _Part(name, file.data, content_type, file.filename, _select_headers(part))


def _find_concrete_type(part: PartFormat) -> str:
    """Return the media type of a part if exactly one is declared, without a wildcard."""
    return "" if "," in part.content_type or "*" in parse_essence(part.content_type) else part.content_type


def _build_text_part(name: str, value: Any, part: PartFormat) -> _Part:
    content_type = _find_concrete_type(part) or (JSON_TYPE if isinstance(value, (Mapping, list)) else "")
    text = _format_item(name, value, content_type)
    return _Part(name, encode_text(text, content_type, name), content_type, headers=_select_headers(part))


def _select_headers(part: PartFormat) -> dict[str, str]:
    return {name: value for name, value in part.headers.items() if name.lower() not in _PART_HEADERS}
