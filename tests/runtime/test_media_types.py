from __future__ import annotations

import mimetypes

import pytest

from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.media_types import (
    encode_text,
    get_parameter,
    guess_extension,
    guess_type_of_bytes,
    guess_type_of_name,
    is_json,
    mark_response_type,
)


@pytest.mark.parametrize(
    ("kind", "extension"),
    [("audio/wav", ".wav"), ("image/WEBP; q=1", ".webp"), ("text/plain; charset=utf-8", ".txt"), ("", ""), ("x/y", "")],
)
def test_extensions_are_the_usual_ones(kind: str, extension: str) -> None:
    assert guess_extension(kind) == extension


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.WAV", "audio/wav"), ("a.b.jpg", "image/jpeg"), ("a.webm", "video/webm"), ("wav", ""), ("", ""), ("a.", "")],
)
def test_a_file_extension_determines_the_type(name: str, kind: str) -> None:
    assert guess_type_of_name(name) == kind


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
    assert guess_type_of_bytes(data) == kind


@pytest.mark.parametrize(
    ("extension", "kinds"),
    [
        (".wav", ["audio/wav", "audio/x-wav", "audio/wave"]),
        (".mp3", ["audio/mpeg", "audio/mp3"]),
        (".flac", ["audio/flac", "audio/x-flac"]),
        (".ogg", ["audio/ogg"]),
        (".opus", ["audio/opus"]),
        (".m4a", ["audio/mp4"]),
        (".aac", ["audio/aac"]),
        (".png", ["image/png"]),
        (".jpg", ["image/jpeg"]),
        (".webp", ["image/webp"]),
        (".gif", ["image/gif"]),
        (".bmp", ["image/bmp"]),
        (".tiff", ["image/tiff"]),
        (".svg", ["image/svg+xml"]),
        (".mp4", ["video/mp4"]),
        (".webm", ["video/webm", "audio/webm"]),
        (".mov", ["video/quicktime"]),
        (".pdf", ["application/pdf"]),
        (".zip", ["application/zip"]),
        (".json", ["application/json"]),
        (".txt", ["text/plain"]),
        (".csv", ["text/csv"]),
        (".html", ["text/html"]),
    ],
)
def test_the_usual_types_do_not_depend_on_the_machine(
    monkeypatch: pytest.MonkeyPatch, extension: str, kinds: list[str]
) -> None:
    monkeypatch.setattr(mimetypes, "guess_extension", lambda kind: None)
    monkeypatch.setattr(mimetypes, "guess_type", lambda name: (None, None))
    assert {guess_extension(kind) for kind in kinds} == {extension}
    assert guess_type_of_name(f"a{extension}") == kinds[0]


@pytest.mark.parametrize(
    ("beginning", "kind"),
    [
        (b"RIFF\0\0\0\0WAVE", "audio/wav"),
        (b"RIFF\0\0\0\0WEBP", "image/webp"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"GIF87a", "image/gif"),
        (b"fLaC", "audio/flac"),
        (b"OggS", "audio/ogg"),
        (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
        (b"\0\0\0\x20ftypmp42", "video/mp4"),
        (b"\x1a\x45\xdf\xa3", "video/webm"),
        (b"%PDF-1.7", "application/pdf"),
        (b"PK\x03\x04", "application/zip"),
    ],
)
def test_a_type_is_shown_by_bytes_at_their_place_only(beginning: bytes, kind: str) -> None:
    assert guess_type_of_bytes(beginning + b"more") == kind
    assert guess_type_of_bytes(b"x" + beginning) == ""


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON ; v=2.0", True),
        ("application/problem+json;charset=utf-8", True),
        ("text/json", True),
        ("application/json-seq", False),
        ("application/jsonl", False),
        ("text/plain; x=application/json", False),
        ("", False),
    ],
)
def test_json_is_found_by_its_media_type(content_type: str, expected: bool) -> None:
    assert is_json(content_type) is expected


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("text/plain; Charset=ISO-8859-1", "ISO-8859-1"),
        ('text/plain;a="x;charset=b";charset="utf-\\16"', "utf-16"),
        ("text/plain; charset", ""),
        ("text/plain; xcharset=a", ""),
        ("text/plain", ""),
    ],
)
def test_a_parameter_of_a_media_type_is_read(content_type: str, charset: str) -> None:
    assert get_parameter(content_type, "charset") == charset


def test_text_without_a_charset_is_utf_8() -> None:
    assert encode_text("é", "text/plain", "a") == "é".encode()
    assert encode_text("é", "text/plain;charset=latin-1", "a") == b"\xe9"
    with pytest.raises(CallFailed, match="`a` cannot be sent as text/plain;charset=ascii"):
        encode_text("é", "text/plain;charset=ascii", "a")


@pytest.mark.parametrize(
    ("content_type", "status", "marked"),
    [
        ("a/b;c=d", 200, "a/b;c=d"),
        ("a/b;c=d", 201, "a/b;c=d; service-response=201"),
        ("application/json; service-response=empty", 200, "application/json"),
        ('a/b;Service-Response="204";c=d', 206, "a/b;c=d; service-response=206"),
    ],
)
def test_only_the_gateway_marks_the_media_type_of_a_response(content_type: str, status: int, marked: str) -> None:
    assert mark_response_type(content_type, status) == marked
