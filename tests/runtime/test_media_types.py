from __future__ import annotations

import pytest

from chutes_wrappers.runtime.media_types import extension_of, type_of_bytes, type_of_name


@pytest.mark.parametrize(
    ("kind", "extension"),
    [("audio/wav", ".wav"), ("image/WEBP; q=1", ".webp"), ("text/plain; charset=utf-8", ".txt"), ("", ""), ("x/y", "")],
)
def test_extensions_are_the_usual_ones(kind: str, extension: str) -> None:
    assert extension_of(kind) == extension


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.WAV", "audio/wav"), ("a.b.jpg", "image/jpeg"), ("a.webm", "video/webm"), ("wav", ""), ("", ""), ("a.", "")],
)
def test_a_name_says_its_type(name: str, kind: str) -> None:
    assert type_of_name(name) == kind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"RIFF....WAVEfmt ", "audio/wav"),
        (b"RIFF....WEBP", "image/webp"),
        (b"....ftypisom", "video/mp4"),
        (b"", ""),
        (b"text", ""),
    ],
)
def test_the_first_bytes_show_the_type(data: bytes, kind: str) -> None:
    assert type_of_bytes(data) == kind
