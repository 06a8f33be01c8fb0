"""Files in JSON, in the format of a chute's callers. Pure.

A file is ``{"filename", "content_type", "data": base64}``, a ``data:`` URI, or base64 under the key ``<field>_base64``.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

import pybase64

from chutes_wrappers.runtime.call_errors import CallFailed, make_surrogate_error
from chutes_wrappers.runtime.media_types import guess_extension, guess_type_of_bytes, guess_type_of_name

BINARY_TYPE = "application/octet-stream"
TEXT_TYPE = "text/plain; charset=utf-8"
BASE64_SUFFIX = "_base64"
FILE_FORMATS = '{"filename", "content_type", "data": base64}, a data: URI, or the key `%s_base64`'

_KEYS = frozenset({"filename", "content_type", "data"})
_DATA_URI = re.compile(r"data:(?P<type>[^,;]*(?:;[^,;=]+=[^,;]*)*)(?P<base64>;base64)?,", re.IGNORECASE)
# Invalid in a header: control characters, and unpaired surrogates, which are not valid text.
UNSENDABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class File:
    """A file's bytes with its name and media type, both valid in a header if they come from a caller."""

    filename: str
    content_type: str
    data: bytes = field(repr=False)

    def to_json(self) -> dict[str, str]:
        """Return the file in the format of callers."""
        encoded = pybase64.b64encode(self.data).decode("ascii")
        return {"filename": self.filename, "content_type": self.content_type, "data": encoded}


def parse_file(name: str, value: Any, *, declared: bool) -> File | None:
    """Parse ``value`` of field ``name`` as a file; None if it is not one. Raises CallFailed for a file that cannot be read.

    ``declared``: the field expects a file. Otherwise an object needs a filename or a media type in addition to its data.
    """
    if isinstance(value, str):
        return _file_from_data_uri(name, value)
    return (
        _file_from_object(name, value)
        if isinstance(value, Mapping) and is_file_object(value, declared=declared)
        else None
    )


def is_file_object(value: Mapping[str, Any], *, declared: bool) -> bool:
    """Return whether ``value`` has the keys of a file; ``declared`` as in ``parse_file``."""
    return "data" in value and set(value) <= _KEYS and (declared or len(value) > 1)


def make_file_error(name: str) -> CallFailed:
    """Return the error for a field that must be a file, and is not."""
    return CallFailed(f"`{name}` must be a file: send {FILE_FORMATS % name}", field=name)


def file_from_base64(name: str, text: Any) -> File:
    """Return the file whose bytes are under the key ``<name>_base64``."""
    if not isinstance(text, str):
        raise CallFailed(f"`{name}{BASE64_SUFFIX}` is not a string", field=name)
    data = decode_base64(name + BASE64_SUFFIX, text)
    kind = guess_type_of_bytes(data)
    return File(filename=_build_filename(name, kind), content_type=kind or BINARY_TYPE, data=data)


def _file_from_object(name: str, value: Mapping[str, Any]) -> File:
    if not all(isinstance(item, str) for item in value.values()):
        raise CallFailed(f"`{name}`: filename, content_type and data must be strings", field=name)
    for key in ("filename", "content_type"):
        if UNSENDABLE.search(value.get(key, "")):
            raise CallFailed(f"`{name}`: {key} cannot contain control characters or unpaired surrogates", field=name)
    data = decode_base64(name, value["data"])
    kind = (
        value.get("content_type")
        or guess_type_of_name(value.get("filename", ""))
        or guess_type_of_bytes(data)
        or BINARY_TYPE
    )
    filename = value["filename"] if "filename" in value else _build_filename(name, kind)
    return File(filename=filename, content_type=kind, data=data)


def _file_from_data_uri(name: str, value: str) -> File | None:
    match = _DATA_URI.match(value)
    if match is None or UNSENDABLE.search(match["type"]):
        return None
    rest = value[match.end() :]
    try:
        data = decode_base64(name, rest) if match["base64"] else unquote_to_bytes(rest)
    except UnicodeEncodeError as error:
        raise make_surrogate_error({name: value}) from error
    kind = match["type"] or TEXT_TYPE
    return File(filename=_build_filename(name, kind), content_type=kind, data=data)


def _build_filename(name: str, content_type: str) -> str:
    return name + guess_extension(content_type)


def decode_base64(name: str, text: str) -> bytes:
    """Decode base64 ``text``, with or without line breaks. Raises CallFailed with the field's name."""
    try:
        return pybase64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass
    try:  # with line breaks, as `base64` and MIME write it
        return pybase64.b64decode(re.sub(r"\s+", "", text), validate=True)
    except (binascii.Error, ValueError) as error:
        raise CallFailed(f"`{name}` is not base64: {error}", field=name) from error
