"""Files in JSON, in the format of a chute's callers. Pure.

A file is ``{"filename", "content_type", "data": base64}``, a ``data:`` URI, or base64 under the key ``<field>_base64``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pybase64

from chutes_wrappers.runtime.call_errors import CallFailed, make_surrogate_error
from chutes_wrappers.runtime.data_urls import InvalidBase64, decode_forgiving_base64, parse_data_url
from chutes_wrappers.runtime.media_types import guess_extension, guess_type_of_bytes, guess_type_of_name

BINARY_TYPE = "application/octet-stream"
TEXT_TYPE = "text/plain; charset=utf-8"
BASE64_SUFFIX = "_base64"
FILE_FORMATS = '{"filename", "content_type", "data": base64}, a data: URI, or the key `%s_base64`'

_KEYS = frozenset({"filename", "content_type", "data"})
# RFC 4648, section 5.
_SAFE_ALPHABET = str.maketrans("-_", "+/")
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
        return _file_from_data_url(name, value)
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


def _file_from_data_url(name: str, value: str) -> File | None:
    try:
        url = parse_data_url(value)
    except InvalidBase64 as error:
        raise _make_base64_error(name, error) from error
    except UnicodeEncodeError as error:
        raise make_surrogate_error({name: value}) from error
    if url is None:
        return None
    return File(filename=_build_filename(name, url.content_type), content_type=url.content_type, data=url.data)


def _build_filename(name: str, content_type: str) -> str:
    return name + guess_extension(content_type)


def decode_base64(name: str, text: str) -> bytes:
    """Decode base64 ``text``, with or without line breaks and padding, also in the alphabet that is safe in URLs.

    Raises CallFailed with the field's name.
    """
    try:  # strict, which is fast for large files
        return pybase64.b64decode(text, validate=True)
    except ValueError:
        pass
    try:
        return decode_forgiving_base64(_translate_safe_alphabet(text))
    except InvalidBase64 as error:
        raise _make_base64_error(name, error) from error


def is_base64(text: str) -> bool:
    """Return whether ``decode_base64`` can decode ``text``."""
    try:
        decode_base64("", text)
    except CallFailed:
        return False
    return True


def _translate_safe_alphabet(text: str) -> str:
    """Return base64 in the usual alphabet. A text with characters of both alphabets is left, and refused later."""
    return text if "+" in text or "/" in text else text.translate(_SAFE_ALPHABET)


def _make_base64_error(name: str, error: Exception) -> CallFailed:
    return CallFailed(f"`{name}` is not base64: {error}", field=name)
