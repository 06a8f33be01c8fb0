"""The content of a response."""

from __future__ import annotations

import pytest

from chutes_wrappers.host.calling.content import parse_content, parse_stream_error


@pytest.mark.parametrize(
    ("content_type", "data", "kind"),
    [
        ("application/json", b'{"a": 1}', "json"),
        ("Application/Problem+JSON; charset=utf-8", b"[]", "json"),
        ("application/json", b"not json", "text"),
        ("application/json", b"[NaN]", "text"),
        ("application/json", b"\xff", "binary"),
        ("text/plain; charset=utf-8", "ö".encode(), "text"),
        ("text/plain", b"\xff", "binary"),
        ("", b"words", "text"),
        ("application/x-ndjson", b"{}\n{}\n", "text"),
        ("audio/wav", b"words", "binary"),
        ("application/octet-stream", b"", "binary"),
    ],
)
def test_media_type_and_bytes_decide_the_kind(content_type: str, data: bytes, kind: str) -> None:
    assert parse_content(content_type, data).kind == kind


def test_only_the_last_event_of_the_gateways_kind_is_an_error() -> None:
    assert parse_stream_error(b'data: 1\n\ndata: {"error": "broken"}\n\n') == "broken"
    for end in (
        b"",
        b"data: 1\n\n",
        b'data: {"error": 1, "a": 2}\n\n',
        b'data: {"error": "x"}\n\ndata: 2\n\n',
        b"\xff",
    ):
        assert parse_stream_error(end) is None
