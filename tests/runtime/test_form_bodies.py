"""Fields of forms in the formats of OpenAPI's Encoding Objects."""

from __future__ import annotations

import asyncio
import json
from email import message_from_bytes
from email.message import Message
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.routes import RequestFormat
from chutes_wrappers.runtime.bodies import Body, encode_body
from chutes_wrappers.runtime.call_errors import CallFailed

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
KEY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="[]"), min_size=1, max_size=8)
JSON_PART = {"content_type": "application/json"}


def encode(encoding: str, body: Any, **request: Any) -> Body:
    return encode_body(RequestFormat.model_validate({"encoding": encoding, **request}), body, may_be_empty=False)


def form(body: Any, **parts: Any) -> str:
    data: bytes = encode("form", body, parts=parts).make()
    return data.decode()


def read_parts(body: Any, **request: Any) -> list[Message]:
    writer = encode("multipart", body, **request).make()
    data = asyncio.run(writer.as_bytes())
    message = message_from_bytes(f"Content-Type: {writer.content_type}\r\n\r\n".encode() + data)
    parts = message.get_payload()
    assert isinstance(parts, list)
    return [part for part in parts if isinstance(part, Message)]


def _read_bytes(part: Message) -> bytes:
    data = part.get_payload(decode=True)
    assert isinstance(data, bytes)
    return data


def describe_parts(body: Any, **request: Any) -> list[tuple[Any, Any, Any]]:
    """Name, media type and text of each part."""
    return [
        (
            part.get_param("name", header="content-disposition"),
            part["Content-Type"],
            _read_bytes(part).decode(),
        )
        for part in read_parts(body, **request)
    ]


def test_a_form_has_its_fields_in_the_declared_styles() -> None:
    body = {"metadata": {"order_id": "67 35", "n": {"a": [1]}}, "expand": ["a", "b,c"], "plain": {"x": 1}}
    deep, joined = {"style": "deepObject", "explode": True}, {"style": "form", "explode": False}
    assert form(body, metadata=deep, expand=joined) == (
        "metadata%5Border_id%5D=67+35&metadata%5Bn%5D%5Ba%5D%5B0%5D=1&expand=a,b%2Cc&plain=%7B%22x%22%3A1%7D"
    )


@pytest.mark.parametrize("encoding", ["form", "multipart"])
def test_an_object_in_a_media_type_that_is_not_written_is_an_error(encoding: str) -> None:
    parts = {"f": {"content_type": "application/xml"}}
    encode(encoding, {"f": "<a/>"}, parts=parts)
    with pytest.raises(CallFailed, match="`f` is sent as application/xml: send its text"):
        encode(encoding, {"f": {"a": 1}}, parts=parts)


@pytest.mark.parametrize(
    ("part", "value", "pairs"),
    [
        ({}, ["a", None, 1], [("f", "a"), ("f", "1")]),
        ({}, [{"x": 1}], [("f", '{"x":1}')]),
        (JSON_PART, "text", [("f", '"text"')]),
        (JSON_PART, [{"x": 1}, {"x": 2}], [("f", '{"x":1}'), ("f", '{"x":2}')]),
        ({"content_type": "text/plain"}, "text", [("f", "text")]),
        ({"content_type": "application/x-www-form-urlencoded"}, {"a": [1, 2], "b": "c d"}, [("f", "a=1&a=2&b=c+d")]),
        ({"style": "form"}, {"x": 1, "y": 2}, [("x", "1"), ("y", "2")]),
        ({"style": "pipeDelimited", "explode": False}, ["a", "b"], [("f", "a|b")]),
        ({"style": "spaceDelimited"}, ["a", "b"], [("f", "a b")]),
        ({}, None, []),
    ],
)
def test_fields_of_a_form(part: dict[str, Any], value: Any, pairs: list[tuple[str, str]]) -> None:
    assert parse_qsl(form({"f": value}, f=part)) == pairs


def test_reserved_characters_of_a_form_field_may_pass() -> None:
    assert form({"url": "http://a/?b=c&d"}, url={"allow_reserved": True}) == "url=http://a/?b=c%26d"


def test_an_object_is_a_json_part_also_without_a_declaration() -> None:
    body = {"meta": {"title": "é"}, "rows": [{"a": 1}, [2]], "tags": ["x", "y"], "n": 5}
    assert describe_parts(body, files=()) == [
        ("meta", "application/json", '{"title":"é"}'),
        ("rows", "application/json", '{"a":1}'),
        ("rows", "application/json", "[2]"),
        ("tags", None, "x"),
        ("tags", None, "y"),
        ("n", None, "5"),
    ]


@pytest.mark.parametrize(
    ("part", "value", "expected"),
    [
        (JSON_PART, {"a": 1}, [("f", "application/json", '{"a":1}')]),
        ({"content_type": "application/ld+json;v=1"}, "a", [("f", "application/ld+json;v=1", '"a"')]),
        ({"content_type": "text/plain; charset=utf-8"}, "é", [("f", "text/plain; charset=utf-8", "é")]),
        ({"content_type": "text/xml, text/plain"}, "a", [("f", None, "a")]),
        ({"content_type": "text/*"}, "a", [("f", None, "a")]),
        ({"style": "deepObject"}, {"a": {"b": "é "}}, [("f[a][b]", None, "é ")]),
        ({"style": "form", "explode": False}, ["a", "b"], [("f", None, "a,b")]),
    ],
)
def test_a_part_has_the_declared_media_type_or_style(
    part: dict[str, Any], value: Any, expected: list[tuple[str, str | None, str]]
) -> None:
    assert describe_parts({"f": value}, files=(), parts={"f": part}) == expected


def test_a_part_has_the_declared_headers_but_no_second_type() -> None:
    headers = {"X-Rate": "5", "content-type": "x/y", "Content-Disposition": "inline"}
    for value in ({"a": 1}, {"filename": "a", "data": "YQ=="}):
        (part,) = read_parts({"f": value}, parts={"f": {"headers": headers}})
        assert (part["X-Rate"], part.get_all("Content-Type") == ["x/y"], part.get_content_disposition()) == (
            "5", False, "form-data",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "declared", "sent"),
    [
        ({"data": "YQ=="}, "image/png", "image/png"),
        ({"data": "YQ==", "filename": "a.gif"}, "image/png", "image/png"),
        ({"data": "YQ==", "content_type": "image/gif"}, "image/png", "image/gif"),
        ("data:image/gif,a", "image/png", "image/gif"),
        ({"data": "YQ==", "filename": "a.gif"}, "image/png, image/gif", "image/gif"),
        ({"data": "YQ==", "filename": "a.gif"}, "image/*", "image/gif"),
    ],
)
def test_the_declared_type_of_a_file_is_that_of_a_file_without_one(value: Any, declared: str, sent: str) -> None:
    (part,) = read_parts({"f": value}, files=("f",), parts={"f": {"content_type": declared}})
    assert part["Content-Type"] == sent


def test_an_object_of_a_json_part_is_no_file_even_if_it_looks_like_one() -> None:
    body = {"f": {"filename": "a", "data": "YQ=="}}
    ((name, kind, text),) = describe_parts(body, files=(), parts={"f": JSON_PART})
    assert (name, kind, json.loads(text)) == ("f", "application/json", body["f"])


def test_a_multipart_body_may_have_another_subtype() -> None:
    writer = encode("multipart", {"a": "1"}, content_type="multipart/mixed").make()
    assert writer.content_type.startswith("multipart/mixed; boundary=")


def test_text_is_sent_in_its_charset() -> None:
    body = encode("text", {"text": "é"}, content_type="text/plain; charset=ISO-8859-1")
    assert (body.make(), body.content_type) == (b"\xe9", "text/plain; charset=ISO-8859-1")
    own = encode("text", {"text": "é", "content_type": 'text/csv;charset="utf-16-le"'})
    assert (own.make(), own.content_type) == (b"\xe9\0", 'text/csv;charset="utf-16-le"')
    assert encode("json", {"a": "é"}, content_type="application/json;charset=latin-1").make() == b'{"a":"\xe9"}'
    for charset, reason in (("latin-1", "can't encode"), ("none-such", "unknown encoding"), ("base64", "base64")):
        with pytest.raises(CallFailed, match=f"`text` cannot be sent as text/plain;charset={charset}: .*{reason}"):
            encode("text", {"text": "€"}, content_type=f"text/plain;charset={charset}")


@pytest.mark.parametrize(
    ("content_type", "data", "sent_type"),
    [
        ("", b'{"a":"\xc3\xa9"}\n2\nnull\n', "application/jsonl"),
        ("application/x-ndjson", b'{"a":"\xc3\xa9"}\n2\nnull\n', "application/x-ndjson"),
        ("application/json-seq", b'\x1e{"a":"\xc3\xa9"}\n\x1e2\n\x1enull\n', "application/json-seq"),
    ],
)
def test_a_list_is_sent_as_json_lines(content_type: str, data: bytes, sent_type: str) -> None:
    items = [{"a": "é"}, 2, None]
    for body in ({"body": items}, items):
        encoded = encode("lines", body, content_type=content_type)
        assert (encoded.make(), encoded.content_type) == (data, sent_type)
    for wrong in ({"body": 5}, {"body": [], "other": 1}, {}):
        with pytest.raises(CallFailed, match=r'expects a list of JSON values: \{"body": \[…\]\}'):
            encode("lines", wrong)


@given(st.dictionaries(KEY, TEXT, min_size=1, max_size=4), st.lists(TEXT, min_size=1, max_size=3))
def test_a_form_in_styles_is_read_back(object_: dict[str, str], items: list[str]) -> None:
    sent = form({"o": object_, "l": items}, o={"style": "deepObject"}, l={"style": "form", "explode": True})
    pairs = parse_qsl(sent, keep_blank_values=True)
    assert {key[2:-1]: text for key, text in pairs if key.startswith("o[")} == object_
    assert [text for key, text in pairs if key == "l"] == items
