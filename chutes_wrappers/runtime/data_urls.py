"""``data:`` URLs as browsers read them: the "data: URL processor" of WHATWG's Fetch standard. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

import pybase64

DEFAULT_TYPE = "text/plain;charset=US-ASCII"
_SCHEME = re.compile(r"[\x00-\x20]*data:", re.IGNORECASE)
_CONTROLS_AND_SPACE = "".join(map(chr, range(0x21)))
# The URL parser removes these wherever they are.
_REMOVED = str.maketrans("", "", "\t\n\r")
_BASE64 = re.compile(r"; *base64\Z", re.IGNORECASE)
_ASCII_WHITESPACE = str.maketrans("", "", "\t\n\f\r ")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PARAMETER = re.compile(r'[\t\n\r ]*([^;=]*)(?:=("(?:[^"\\]|\\.?)*"?[^;]*|[^;]*))?(?:;|\Z)', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.?)*)', re.DOTALL)
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class InvalidBase64(ValueError):
    """Text that is not base64, with the reason."""


@dataclass(frozen=True, kw_only=True)
class DataURL:
    """The media type and the bytes of a ``data:`` URL."""

    content_type: str
    data: bytes = field(repr=False)


def parse_data_url(text: str) -> DataURL | None:
    """Parse ``text``; None if it is not a ``data:`` URL. Raises InvalidBase64, and UnicodeEncodeError for unpaired surrogates.

    As in a browser, a fragment does not belong to the data, and parameters without a value are ignored.
    """
    scheme = _SCHEME.match(text)
    comma = text.find(",", scheme.end()) if scheme else -1
    if scheme is None or comma < 0:
        return None
    kind, body = text[scheme.end() : comma].translate(_REMOVED), text[comma + 1 :]
    if "#" in kind:
        return None
    kind, marks = _BASE64.subn("", kind.strip(" \f"))
    data = _decode_base64_url(body) if marks else unquote_to_bytes(_cut(body).rstrip(_CONTROLS_AND_SPACE))
    return DataURL(content_type=_parse_media_type(f"text/plain{kind}" if kind.startswith(";") else kind), data=data)


def decode_forgiving_base64(text: str) -> bytes:
    """Decode ``text`` as WHATWG's Infra standard does: padding may be missing, and whitespace is ignored."""
    text = text.translate(_ASCII_WHITESPACE)
    if len(text) % 4 == 0:
        text = text.removesuffix("=").removesuffix("=")
    if wrong := _NOT_BASE64.search(text):
        raise InvalidBase64(f"it contains {wrong[0]!r} at position {wrong.start()}")
    if len(text) % 4 == 1:
        raise InvalidBase64("it ends in the middle of a byte")
    return pybase64.b64decode(text + "=" * (-len(text) % 4))


def _decode_base64_url(body: str) -> bytes:
    try:  # almost always plain base64, and often large
        return pybase64.b64decode(body, validate=True)
    except ValueError:
        return decode_forgiving_base64(unquote_to_bytes(_cut(body)).decode("latin-1"))


def _cut(body: str) -> str:
    """Return the data without its fragment, and without what the URL parser removes."""
    return body.partition("#")[0].translate(_REMOVED)


def _parse_media_type(text: str) -> str:
    """Return ``text`` as WHATWG's MIME Sniffing standard writes it; the default type if it is not a media type."""
    essence, _, rest = text.partition(";")
    main, slash, subtype = essence.strip(" \t").partition("/")
    if not slash or not _TOKEN.fullmatch(main) or not _TOKEN.fullmatch(subtype.rstrip(" \t")):
        return DEFAULT_TYPE
    parameters: dict[str, str] = {}
    for match in _PARAMETER.finditer(rest):
        name, value = match[1].lower(), _parse_value(match[2])
        if value and _TOKEN.fullmatch(name) and _VALUE.fullmatch(value) and name not in parameters:
            parameters[name] = value
    written = (f";{name}={_write_value(value)}" for name, value in parameters.items())
    return f"{main}/{subtype.rstrip()}".lower() + "".join(written)


def _parse_value(text: str | None) -> str:
    if text is None:
        return ""
    quoted = _QUOTED.match(text)
    return re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL) if quoted else text.rstrip(" \t")


def _write_value(value: str) -> str:
    return value if _TOKEN.fullmatch(value) else '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
