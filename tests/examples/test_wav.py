"""Writing and reading of WAV files, checked with the standard library's reader."""

import io
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.morse.morse import wav

RAMP = [-1.0, -0.5, 0.0, 0.5, 0.99]


def wav_file(
    data: bytes, *, code: int = 1, channels: int = 1, rate: int = 8000, bits: int = 16, extra: bytes = b""
) -> bytes:
    form = struct.pack("<HHIIHH", code, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits) + extra
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_written_files_are_readable_by_the_standard_library() -> None:
    with wave.open(io.BytesIO(wav.write(RAMP, 8000))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()) == (1, 2, 8000, 5)


@given(st.lists(st.floats(-1, 1)))
def test_samples_survive_the_round_trip(samples: list[float]) -> None:
    read, rate = wav.read(wav.write(samples, 11025))
    assert rate == 11025
    assert read == pytest.approx(samples, abs=1e-4)


@pytest.mark.parametrize(
    ("code", "bits", "data"),
    [
        (1, 8, bytes(round(128 + 127 * sample) for sample in RAMP)),
        (1, 24, b"".join(round(sample * 8388607).to_bytes(3, "little", signed=True) for sample in RAMP)),
        (1, 32, struct.pack("<5i", *(round(sample * 2147483647) for sample in RAMP))),
        (3, 32, struct.pack("<5f", *RAMP)),
        (3, 64, struct.pack("<5d", *RAMP)),
    ],
)
def test_other_sample_formats_are_read(code: int, bits: int, data: bytes) -> None:
    samples, _ = wav.read(wav_file(data, code=code, bits=bits))
    assert samples == pytest.approx(RAMP, abs=0.02)


def test_channels_are_mixed() -> None:
    samples, _ = wav.read(wav_file(struct.pack("<4h", 16384, 0, -16384, -16384), channels=2))
    assert samples == [0.25, -0.5]


def test_an_extensible_header_and_an_unknown_size_are_read() -> None:
    extra = struct.pack("<HHIH", 22, 16, 4, 1) + bytes(14)
    content = bytearray(wav_file(struct.pack("<2h", 8192, 0), code=0xFFFE, extra=extra))
    content[-8:-4] = b"\xff\xff\xff\xff"
    assert wav.read(bytes(content))[0] == [0.25, 0.0]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"RIFF\0\0\0\0WAVE",
        b"ID3 is no wave file",
        wav.write(RAMP, 8000)[:30],
        wav_file(b"\0\0", code=85),
        wav_file(b"\0\0", rate=100),
        wav_file(b"\0\0", channels=0),
        wav_file(struct.pack("<f", float("nan")), code=3, bits=32),
    ],
)
def test_an_invalid_wav_file_is_rejected(content: bytes) -> None:
    with pytest.raises(wav.InvalidWav):
        wav.read(content)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_rejected(tail: bytes) -> None:
    try:
        wav.read(wav.write(RAMP, 8000)[:20] + tail)
    except wav.InvalidWav:
        return
