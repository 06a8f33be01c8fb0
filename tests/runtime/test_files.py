"""Files as callers write them in JSON."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.files import File, decode_base64, file_from_base64, is_file_object, parse_file

WAV = b"RIFF\x00\x00\x00\x00WAVE"
WAV_BASE64 = "UklGRgAAAABXQVZF"


def refusal(value: Any, *, declared: bool = True) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        parse_file("sound", value, declared=declared)
    assert caught.value.detail["field"] == "sound"
    return caught.value


@pytest.mark.parametrize(
    ("value", "filename", "content_type"),
    [
        ({"data": WAV_BASE64}, "sound.wav", "audio/wav"),
        ({"data": WAV_BASE64, "filename": "a.flac"}, "a.flac", "audio/flac"),
        ({"data": WAV_BASE64, "filename": "a"}, "a", "audio/wav"),
        ({"data": WAV_BASE64, "filename": ""}, "", "audio/wav"),
        ({"data": WAV_BASE64, "content_type": "audio/ogg"}, "sound.ogg", "audio/ogg"),
        ({"data": WAV_BASE64, "content_type": "audio/ogg", "filename": "a.flac"}, "a.flac", "audio/ogg"),
    ],
)
def test_a_file_object_has_its_declared_or_detected_name_and_type(
    value: dict[str, str], filename: str, content_type: str
) -> None:
    assert parse_file("sound", value, declared=True) == File(filename=filename, content_type=content_type, data=WAV)


def test_a_file_of_unknown_type_is_plain_bytes() -> None:
    assert parse_file("x", {"data": "AAA="}, declared=True) == File(
        filename="x.bin", content_type="application/octet-stream", data=b"\x00\x00"
    )


@pytest.mark.parametrize(
    ("value", "declared", "is_file"),
    [
        ({"data": ""}, True, True),
        ({"data": ""}, False, False),  # an object of the caller's own, as likely
        ({"data": "", "filename": ""}, False, True),
        ({"data": "", "content_type": ""}, False, True),
        ({"data": "", "other": ""}, True, False),
        ({"filename": "a", "content_type": "b"}, True, False),
        ({}, True, False),
    ],
)
def test_an_object_is_a_file_by_its_keys(value: dict[str, str], declared: bool, is_file: bool) -> None:
    assert is_file_object(value, declared=declared) is is_file
    assert (parse_file("a", value, declared=declared) is not None) is is_file


@pytest.mark.parametrize("value", [5, None, ["data"], "text", "data:x", "data:x#,y", "x data:,", b"data"])
def test_anything_else_is_not_a_file(value: Any) -> None:
    assert parse_file("a", value, declared=True) is None


def test_a_data_url_is_a_file_with_a_name_of_its_type() -> None:
    file = parse_file("a", "data:image/png,%FF,", declared=False)
    assert file == File(filename="a.png", content_type="image/png", data=b"\xff,")


@pytest.mark.parametrize("character", ["\r", "\n", "\0", "\x7f", "\ud800"])
def test_values_that_are_invalid_in_a_header_are_rejected(character: str) -> None:
    for key in ("filename", "content_type"):
        assert f"`sound`: {key} cannot contain" in str(refusal({"data": "", key: f"a{character}b"}))
    file = parse_file("a", f"data:te{character}xt/x,a", declared=True)
    assert file is not None
    assert character not in file.content_type


@pytest.mark.parametrize("key", ["filename", "content_type", "data"])
def test_values_that_are_not_strings_are_rejected(key: str) -> None:
    assert "must be strings" in str(refusal({"data": "", "filename": "", key: 5}))


def test_an_unpaired_surrogate_in_a_data_uri_is_refused() -> None:
    assert "unpaired surrogate" in str(refusal("data:,\ud800"))


@pytest.mark.parametrize("value", [{"data": "Y"}, {"data": "a-b/"}, "data:;base64,Y", {"data": "ü"}])
def test_invalid_base64_is_rejected(value: Any) -> None:
    assert "`sound` is not base64" in str(refusal(value))


@pytest.mark.parametrize("text", ["YWJj\nZA==", "YWJj\r\nZA==\n", " YWJjZA == ", "YWJjZA", "YWJjZB=="])
def test_base64_may_come_in_lines_and_without_padding(text: str) -> None:
    assert decode_base64("a", text) == b"abcd"


@pytest.mark.parametrize("text", ["-_-_", "+/+/", "-_8=", "-_8"])
def test_base64_may_use_the_alphabet_of_urls(text: str) -> None:
    assert decode_base64("a", text) == (b"\xfb\xff" if "8" in text else b"\xfb\xff\xbf")


def test_bytes_under_a_key_of_their_own_are_a_file() -> None:
    assert file_from_base64("sound", WAV_BASE64) == File(filename="sound.wav", content_type="audio/wav", data=WAV)
    assert file_from_base64("x", "AAA=") == File(filename="x", content_type="application/octet-stream", data=b"\0\0")
    for value, message in ((5, "`sound_base64` is not a string"), ("Y", "`sound_base64` is not base64")):
        with pytest.raises(CallFailed, match=message):
            file_from_base64("sound", value)


def test_a_file_is_written_as_it_is_read_and_its_bytes_are_in_no_repr() -> None:
    file = File(filename="a.wav", content_type="audio/wav", data=WAV)
    assert parse_file("x", file.to_json(), declared=False) == file
    assert "WAVE" not in repr(file)
