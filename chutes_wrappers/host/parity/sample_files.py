"""Small real files to upload when the examples have none: a picture, a sound, a text. Pure."""

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


def make_sample_file(field: str) -> dict[str, str]:
    """Return a file for a field, by its name, as callers of a chute send it.

    It has the form ``{"filename", "content_type", "data": base64}``.
    """
    name = field.lower()
    if any(word in name for word in _PICTURE_WORDS):
        return File(filename="sample.png", content_type="image/png", data=make_picture()).to_json()
    if any(word in name for word in _SOUND_WORDS):
        return File(filename="sample.wav", content_type="audio/wav", data=make_sound()).to_json()
    return File(filename="sample.txt", content_type="text/plain", data=b"hello\n").to_json()


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
