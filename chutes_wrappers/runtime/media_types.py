"""Media types and file extensions. Pure.

Python's own tables depend on files of the machine, and images differ. So the common ones are defined here.
"""

from __future__ import annotations

import mimetypes

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
