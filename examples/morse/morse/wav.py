"""WAV files ↔ samples between -1 and 1."""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import add

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_RATES = range(4_000, 192_001)
_FORMAT = struct.Struct("<HHIIHH")


class InvalidWav(ValueError):
    """The bytes are not a supported WAV file."""


def write(samples: Sequence[float], rate: int) -> bytes:
    """Make a 16-bit mono PCM file."""
    values = array("h", (round(max(-1.0, min(1.0, sample)) * 32767) for sample in samples))
    if sys.byteorder == "big":
        values.byteswap()
    data = values.tobytes()
    header = b"WAVEfmt " + struct.pack("<I", _FORMAT.size) + _FORMAT.pack(_PCM, 1, rate, rate * 2, 2, 16)
    body = header + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def read(content: bytes) -> tuple[list[float], int]:
    """Read samples (channels mixed into one) and rate of a PCM or float WAV file; raises InvalidWav."""
    chunks: dict[bytes, bytes] = {}
    for name, data in _iterate_chunks(content):
        chunks.setdefault(name, data)
        if name == b"data":
            break
    if b"data" not in chunks or len(chunks.get(b"fmt ", b"")) < _FORMAT.size:
        raise InvalidWav("the WAV file has no format or no data")
    code, channels, rate, _, _, bits = _FORMAT.unpack_from(chunks[b"fmt "])
    if code == _EXTENSIBLE and len(chunks[b"fmt "]) >= 26:
        (code,) = struct.unpack_from("<H", chunks[b"fmt "], 24)
    if not 1 <= channels <= 8 or rate not in _RATES:
        raise InvalidWav(f"{channels} channels at {rate} Hz: expected 1 to 8 at {_RATES[0]} to {_RATES[-1]} Hz")
    return _mix_channels(_decode_samples(chunks[b"data"], code, bits), channels), rate


def _iterate_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise InvalidWav("not a WAV file")
    position = 12
    while position + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, position)
        # Programs that write to a pipe set a size that is too large: the slice ends with the file.
        yield name, content[position + 8 : position + 8 + size]
        position += 8 + size + size % 2


def _decode_samples(data: bytes, code: int, bits: int) -> list[float]:
    if (code, bits) == (_PCM, 8):
        return [(value - 128) / 128 for value in data]
    if (code, bits) == (_PCM, 24):
        # The three bytes become the upper three of four.
        wide = bytearray(len(data) // 3 * 4)
        for byte in range(3):
            wide[byte + 1 :: 4] = data[byte : len(data) // 3 * 3 : 3]
        data, bits = bytes(wide), 32
    kind = {(_PCM, 16): "h", (_PCM, 32): "i", (_FLOAT, 32): "f", (_FLOAT, 64): "d"}.get((code, bits))
    if kind is None:
        raise InvalidWav(f"format {code} with {bits} bits is not supported; send 8 to 32 bit PCM or float")
    values = array(kind)
    values.frombytes(data[: len(data) // values.itemsize * values.itemsize])
    if sys.byteorder == "big":
        values.byteswap()
    if code == _PCM:
        scale = 1 / (1 << (bits - 1))
        return [value * scale for value in values]
    if not all(map(math.isfinite, values)):
        raise InvalidWav("a sample is not a finite number")
    return [max(-1.0, min(1.0, value)) for value in values]


def _mix_channels(samples: list[float], channels: int) -> list[float]:
    if channels == 1:
        return samples
    whole = len(samples) // channels * channels
    total = reduce(
        lambda left, right: list(map(add, left, right)), (samples[c:whole:channels] for c in range(channels))
    )
    return [value / channels for value in total]
