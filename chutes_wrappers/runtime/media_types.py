"""Media types and file extensions. Pure.

Python's own tables depend on files of the machine, and images differ. So the common ones are defined here.
"""

from __future__ import annotations

import mimetypes
import re

from chutes_wrappers.runtime.call_errors import CallFailed

JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"
# The media type of a call's response when the service sent no body, and the parameter with the status of another one than
# 200. A service's own response never has that parameter, so a client can tell them apart.
RESPONSE_PARAMETER = "service-response"
EMPTY_RESPONSE_TYPE = f"{JSON_TYPE}; {RESPONSE_PARAMETER}=empty"
_RESPONSE_PARAMETER = re.compile(rf";\s*{RESPONSE_PARAMETER}\s*=\s*(?:\"[^\"]*\"|[^;]*)", re.IGNORECASE)
_PARAMETER = re.compile(r";\s*([^\s;=\"]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^;\"]*))", re.DOTALL)
_EXTENSIONS = {
    "audio/wav": ".wav", "audio/x-wav": ".wav", "audio/wave": ".wav", "audio/mpeg": ".mp3", "audio/mp3": ".mp3",
    "audio/flac": ".flac", "audio/x-flac": ".flac", "audio/ogg": ".ogg", "audio/opus": ".opus", "audio/mp4": ".m4a",
    "audio/aac": ".aac", "audio/webm": ".webm", "image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp",
    "image/gif": ".gif", "image/bmp": ".bmp", "image/tiff": ".tiff", "image/svg+xml": ".svg", "video/mp4": ".mp4",
    "video/webm": ".webm", "video/quicktime": ".mov", "application/pdf": ".pdf", "application/zip": ".zip",
    "application/json": ".json", "text/plain": ".txt", "text/csv": ".csv", "text/html": ".html",
}  # fmt: skip
# An extension means its first type, except where a video is more likely.
_TYPES = {**{extension: kind for kind, extension in reversed(_EXTENSIONS.items())}, ".webm": "video/webm"}
# The first bytes of a type, and their offset.
_MAGIC_BYTES: tuple[tuple[str, bytes, int], ...] = (
    ("audio/wav", b"WAVE", 8), ("image/webp", b"WEBP", 8), ("image/png", b"\x89PNG\r\n\x1a\n", 0),
    ("image/jpeg", b"\xff\xd8\xff", 0), ("image/gif", b"GIF8", 0), ("audio/flac", b"fLaC", 0), ("audio/ogg", b"OggS", 0),
    ("audio/mpeg", b"ID3", 0), ("audio/mpeg", b"\xff\xfb", 0), ("audio/mp4", b"ftypM4A", 4), ("video/mp4", b"ftyp", 4),
    ("video/webm", b"\x1a\x45\xdf\xa3", 0), ("application/pdf", b"%PDF-", 0), ("application/zip", b"PK\x03\x04", 0),
)  # fmt: skip


def parse_essence(content_type: str) -> str:
    """Return the media type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def is_json(content_type: str) -> bool:
    """Return whether ``content_type`` is JSON: ``application/json``, ``text/json`` or a type that ends in ``+json``."""
    essence = parse_essence(content_type)
    return essence in (JSON_TYPE, "text/json") or essence.endswith("+json")


def get_parameter(content_type: str, name: str) -> str:
    """Return a parameter of a media type, such as its charset; empty if it has none."""
    for match in _PARAMETER.finditer(content_type):
        if match[1].lower() == name:
            return re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3].strip()
    return ""


def encode_text(text: str, content_type: str, name: str) -> bytes:
    """Encode ``text`` in the charset of ``content_type``, by default UTF-8.

    Raises CallFailed with the field's ``name`` for a charset that is unknown or has not all of its characters, and
    UnicodeEncodeError for an unpaired surrogate.
    """
    charset = get_parameter(content_type, "charset")
    data = text.encode()
    if not charset:
        return data
    try:
        return text.encode(charset)
    except (LookupError, ValueError) as error:
        raise CallFailed(f"`{name}` cannot be sent as {content_type}: {error}", field=name) from error


def mark_response_type(content_type: str, status: int) -> str:
    """Return the media type of a call's response with a body: the service's, with its status if that is not 200."""
    kind = _RESPONSE_PARAMETER.sub("", content_type)
    return kind if status == 200 else f"{kind}; {RESPONSE_PARAMETER}={status}"


def guess_extension(content_type: str) -> str:
    """Return the file extension for a media type, with its dot; empty if there is none."""
    kind = content_type.split(";")[0].strip().lower()
    return _EXTENSIONS.get(kind) or mimetypes.guess_extension(kind) or ""


def guess_type_of_name(filename: str) -> str:
    """Return the media type for a file name; empty if it is unknown."""
    suffix = filename[filename.rfind(".") :].lower() if "." in filename else ""
    return _TYPES.get(suffix) or mimetypes.guess_type(filename)[0] or ""


def guess_type_of_bytes(data: bytes) -> str:
    """Return the media type for a file's first bytes; empty if it is unknown."""
    return next((kind for kind, beginning, at in _MAGIC_BYTES if data.startswith(beginning, at)), "")
