"""One rule keeps the path of a call in its route, for every way in which servers decode and normalise paths. Pure.

A proxy and the service behind it may each decode a path. Some read a backslash as a slash (the WHATWG URL parser, as in Node). Others
drop the rest of a segment from a semicolon on (Tomcat, Jetty), or read overlong UTF-8 (GlassFish: CVE-2017-1000028), ``%u002e`` and
NUL bytes (Jetty: CVE-2021-34429). A second decoding can show ``?`` or ``#``, where the path ends. URL parsers remove control
characters and spaces. So each of these is resolved before segments are compared.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

# Common servers accept 8 to 64 KiB for the whole head of a request.
MAX_PATH_LENGTH = 64 * 1024
_ESCAPE_LENGTH = 6
_ESCAPE = re.compile(
    rb"(?:%(?P<byte>[0-9A-Fa-f]{2})|%[uU](?P<unit>[0-9A-Fa-f]{4})"
    rb"|(?P<overlong>[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf]{2}))"
)
_ESCAPE_AT_END = re.compile(_ESCAPE.pattern + rb"\Z")
_LAST_BYTES = frozenset([*b"0123456789ABCDEFabcdef", *range(0x80, 0xC0)])
# Rounds of a fast decoder. With more, escapes in escapes would take quadratic time.
_FAST_ROUNDS = 3
_DOT_SEGMENT = re.compile(rb"(?:\A|[/\\])[\0- \x7f]*(\.[\0- \x7f]*(?:\.[\0- \x7f]*)?)(?=[/\\;?#\0]|\Z)")


def find_path_problem(path: str) -> str | None:
    """Return why a server could leave the folder of ``path``, a path or a part of one, as the rest of a sentence; or None.

    Raises UnicodeEncodeError for an unpaired surrogate.
    """
    if len(path) > MAX_PATH_LENGTH:
        return f"is longer than {MAX_PATH_LENGTH // 1024} KiB"
    segments = find_dot_segments(path)
    return f"contains the segment {segments[0]!r} when it is decoded" if segments else None


def find_dot_segments(path: str) -> list[str]:
    """Return the segments ``.`` and ``..`` that a server can find in ``path``, in order."""
    cleaned = (re.sub(rb"[^.]", b"", segment) for segment in _DOT_SEGMENT.findall(_decode(path.encode())))
    return [segment.decode() for segment in cleaned]


def _decode(data: bytes) -> bytes:
    """Decode ``data`` until nothing changes. The order does not matter, since escapes do not overlap."""
    for _ in range(_FAST_ROUNDS):
        if not _ESCAPE.search(data):
            return data
        data = unquote_to_bytes(data)
    result = bytearray()
    for byte in data:  # in one pass: only the end of the result can be a new escape
        result.append(byte)
        while byte in _LAST_BYTES and (match := _ESCAPE_AT_END.search(result, max(0, len(result) - _ESCAPE_LENGTH))):
            result[match.start() :] = _decode_escape(match)
    return bytes(result)


def _decode_escape(match: re.Match[bytes]) -> bytes:
    if digits := match["byte"]:
        return bytes.fromhex(digits.decode())
    if digits := match["unit"]:
        return chr(int(digits, 16)).encode("utf-8", "surrogatepass")
    first, *others = match["overlong"]
    code = first & 1  # of the four first bytes, only 0xC1 has a bit that counts
    for byte in others:
        code = code << 6 | byte & 0x3F
    return chr(code).encode("utf-8", "surrogatepass")
