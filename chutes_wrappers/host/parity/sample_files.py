"""Small real files to upload where nobody named one: a picture, a sound, a text. Pure."""

from __future__ import annotations

import base64
import io
import math
import struct
import wave
import zlib

_PICTURES = ("image", "img", "photo", "picture", "mask")
_SOUNDS = ("audio", "sound", "voice", "speech", "wav", "music", "speaker")
_RATE = 16_000


def sample_file(field: str) -> dict[str, str]:
    """The file for a field, by its name, as callers of a chute write it: ``{"filename", "content_type", "data": base64}``."""
    name = field.lower()
    if any(word in name for word in _PICTURES):
        return _file("sample.png", "image/png", picture())
    if any(word in name for word in _SOUNDS):
        return _file("sample.wav", "audio/wav", sound())
    return _file("sample.txt", "text/plain", b"hello\n")


def picture(width: int = 96, height: int = 64) -> bytes:
    """A PNG: a black frame on white."""

    def row(y: int) -> bytes:
        inside = 8 <= y < height - 8
        return b"\0" + bytes(
            0 if inside and (x in (8, width - 9) or y in (8, height - 9)) else 255 for x in range(width)
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(map(row, range(height))))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def sound(seconds: float = 1.0, hertz: float = 440.0) -> bytes:
    """A WAV: one tone, 16 bits, mono, 16 kHz."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        samples = (int(8000 * math.sin(2 * math.pi * hertz * n / _RATE)) for n in range(int(seconds * _RATE)))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return target.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _file(filename: str, content_type: str, data: bytes) -> dict[str, str]:
    return {"filename": filename, "content_type": content_type, "data": base64.b64encode(data).decode("ascii")}
