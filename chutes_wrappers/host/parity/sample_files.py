"""Small real files to upload when the examples have none: a picture, a sound, a text, a document. Pure."""

from __future__ import annotations

import io
import math
import struct
import wave
import zlib

from chutes_wrappers.runtime.files import File

_PICTURE_WORDS = ("image", "img", "photo", "picture", "mask")
_SOUND_WORDS = ("audio", "sound", "voice", "speech", "wav", "music", "speaker")
_SAMPLE_RATE = 16_000
# Subtype, or the ending after its "+" → name and content.
_FILES = {
    "json": ("sample.json", b"{}"),
    "csv": ("sample.csv", b"a,b\n1,2\n"),
    "xml": ("sample.xml", b"<a/>"),
    "html": ("sample.html", b"<!doctype html><title>a</title>"),
    "yaml": ("sample.yaml", b"a: 1\n"),
    "zip": ("sample.zip", b"PK\x05\x06" + bytes(18)),
    "gif": ("sample.gif", b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"),
    "pdf": (
        "sample.pdf",
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n",
    ),
}


def make_sample_file(field: str, media_types: str = "") -> dict[str, str]:
    """Return a file for a field, by the ``media_types`` that are declared for it, else by its name.

    It has the form in which callers of a chute send files: ``{"filename", "content_type", "data": base64}``.
    """
    names = [name.partition(";")[0].strip().lower() for name in media_types.split(",")]
    file = next(filter(None, map(_make_file_of_type, names)), None) or _make_file_by_name(field.lower())
    return file.to_json()


def _make_file_by_name(name: str) -> File:
    if any(word in name for word in _PICTURE_WORDS):
        return File(filename="sample.png", content_type="image/png", data=make_picture())
    if any(word in name for word in _SOUND_WORDS):
        return File(filename="sample.wav", content_type="audio/wav", data=make_sound())
    return File(filename="sample.txt", content_type="text/plain", data=b"hello\n")


def _make_file_of_type(media_type: str) -> File | None:
    """Return a file of ``media_type``, which may be a range; None for a type that says nothing."""
    main, _, subtype = media_type.partition("/")
    if media_type in ("", "*/*", "application/octet-stream", "application/*"):
        return None
    if media_type in ("image/png", "image/*"):
        return File(filename="sample.png", content_type="image/png", data=make_picture())
    if main == "audio" and subtype in ("*", "wav", "x-wav", "wave", "vnd.wave"):
        kind = "audio/wav" if subtype == "*" else media_type
        return File(filename="sample.wav", content_type=kind, data=make_sound())
    for ending, (name, data) in _FILES.items():
        if subtype == ending or subtype.endswith(f"+{ending}"):
            return File(filename=name, content_type=media_type, data=data)
    data, kind = b"hello\n", "text/plain" if media_type == "text/*" else media_type
    return File(filename="sample.txt" if main == "text" else "sample.bin", content_type=kind, data=data)


def make_picture(width: int = 96, height: int = 64) -> bytes:
    """Return a PNG: a black frame on white."""

    def row(y: int) -> bytes:
        inside = 8 <= y < height - 8
        return b"\0" + bytes(
            0 if inside and (x in (8, width - 9) or y in (8, height - 9)) else 255 for x in range(width)
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(map(row, range(height))))
    return (
        b"\x89PNG\r\n\x1a\n"
        + _build_chunk(b"IHDR", header)
        + _build_chunk(b"IDAT", pixels)
        + _build_chunk(b"IEND", b"")
    )


def make_sound(seconds: float = 1.0, hertz: float = 440.0) -> bytes:
    """Return a WAV: one tone, 16 bits, mono, 16 kHz."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_SAMPLE_RATE)
        samples = (
            int(8000 * math.sin(2 * math.pi * hertz * n / _SAMPLE_RATE)) for n in range(int(seconds * _SAMPLE_RATE))
        )
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return target.getvalue()


def _build_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
