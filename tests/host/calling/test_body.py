"""Bodies from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.calling.body import convert_to_schema, find_body_concern, parse_form_body, parse_json_body


def test_a_value_may_hold_what_separates_fields() -> None:
    assert parse_form_body(["a=b=c", "empty=", "mail=x@y;z"]) == {"a": "b=c", "empty": "", "mail": "x@y;z"}


def test_a_missing_media_type_is_guessed_from_name_or_bytes(tmp_path: Path) -> None:
    folder = tmp_path
    (folder / "unnamed").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "a.mp3").write_bytes(b"x")
    body = parse_form_body([f"a=@{folder}/unnamed", f"b=@{folder}/a.mp3", f"c=@{folder}/a.mp3;type=a/b"])
    assert [body[name]["content_type"] for name in "abc"] == ["image/png", "audio/mpeg", "a/b"]


@pytest.mark.parametrize("field", ["", "=x", "name", "f=@", "f=@x;type", "f=@x;colour=red", "f=@\0"])
def test_an_invalid_field_is_rejected(field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_form_body([field])
    assert caught.value.next_step


@pytest.mark.parametrize(("text", "kind"), [("[]", "a list"), ('"x"', "a string"), ("3", "a number"), ("null", "null")])
def test_json_that_is_not_an_object_is_rejected(text: str, kind: str) -> None:
    with pytest.raises(ConfigurationError, match=kind):
        parse_json_body(text)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "{'a': 1}"])
def test_invalid_json_is_rejected(text: str) -> None:
    with pytest.raises(ConfigurationError, match="not valid JSON"):
        parse_json_body(text)


def test_without_a_schema_text_stays_text() -> None:
    assert convert_to_schema({"n": "3"}, {}) == {"n": "3"}
    assert convert_to_schema({"n": "3"}, {"properties": {"n": {"type": ["string", "integer"]}}}) == {"n": "3"}
    assert convert_to_schema({"n": "x"}, {"properties": {"n": {"type": "integer"}, "m": None}}) == {"n": "x"}


def test_a_body_above_the_newest_limit_is_a_concern_that_names_the_largest_file() -> None:
    limit = 128 * 1024**2
    body = {"text": "x" * 50, "audio": {"filename": "a.wav", "content_type": "audio/wav", "data": "A" * 100}}
    assert find_body_concern(body, limit) is None
    concern = find_body_concern(body, limit + 2 * 1024**2)
    assert concern is not None
    for part in (
        "130.0 MiB",
        "accepts only 128 MiB, which is about 96 MiB of a file in base64, and refuses more with 413",
        "largest field is 'audio', the file a.wav",
    ):
        assert part in concern
    assert "largest field is 'data'" in str(find_body_concern({"data": "AAAA", "n": 1}, 2 * limit))
    assert "largest" not in str(find_body_concern({}, 2 * limit))
