from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp.abc import AbstractStreamWriter
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartParser

from chutes_wrappers.core.routes import Encoding, RequestFormat
from chutes_wrappers.runtime.bodies import encode_body, infer_request_format
from chutes_wrappers.runtime.call_errors import CallFailed

EVERY_BYTE = bytes(range(256))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAME = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='\\"'), min_size=1, max_size=10
).filter(lambda name: not name.endswith("_base64"))


class Wire(AbstractStreamWriter):
    """What a multipart body is written to."""

    def __init__(self) -> None:
        self.data = b""

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.data += bytes(chunk)

    async def write_eof(self, chunk: bytes = b"") -> None: ...

    async def drain(self) -> None: ...

    def enable_compression(self, *_: Any, **__: Any) -> None: ...

    def enable_chunking(self) -> None: ...

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None: ...


def encode(encoding: Encoding, body: Any, **more: Any) -> tuple[Any, str]:
    made = encode_body(RequestFormat(encoding=encoding, **more), body, may_be_empty=False)
    return made.make(), made.content_type


def fields(body: dict[str, Any], **more: Any) -> list[tuple[str, str | None, str, bytes]]:
    """What a multipart parser reads: name, file name, media type, bytes."""

    async def read() -> list[tuple[str, str | None, str, bytes]]:
        made = encode_body(RequestFormat(encoding="multipart", **more), body, may_be_empty=False).make()
        wire = Wire()
        await made.write(wire)

        async def stream() -> AsyncGenerator[bytes, None]:
            yield wire.data

        form = await MultiPartParser(Headers(dict(made.headers)), stream()).parse()
        parts: list[tuple[str, str | None, str, bytes]] = []
        for name, value in form.multi_items():
            if isinstance(value, str):
                parts.append((name, None, "", value.encode()))
            else:
                parts.append((name, value.filename, value.content_type or "", await value.read()))
        await form.close()
        return parts

    return asyncio.run(read())


def file(data: bytes, **more: str) -> dict[str, str]:
    return {**more, "data": base64.b64encode(data).decode()}


def test_json_is_sent_unchanged() -> None:
    data, kind = encode("json", {"a": [1, None, "é"]})
    assert (json.loads(data), kind) == ({"a": [1, None, "é"]}, "application/json")


@pytest.mark.parametrize("value", [[1, 2], "text", 5, None, True])
def test_json_that_is_not_an_object_is_sent_as_body(value: Any) -> None:
    assert json.loads(encode("json", {"body": value})[0]) == value


def test_a_body_whose_schema_has_a_field_called_body_is_unchanged() -> None:
    assert json.loads(encode("json", {"body": "text"}, wrapped=False)[0]) == {"body": "text"}
    assert json.loads(encode("json", {"body": {"a": 1}})[0]) == {"body": {"a": 1}}


@pytest.mark.parametrize("value", ["hi", {"a": 1}, {}, [1], None, {"body": "hi"}, {"body": {"body": {}}}])
def test_every_object_whose_only_key_is_body_can_be_sent(value: Any) -> None:
    assert json.loads(encode("json", {"body": {"body": value}})[0]) == {"body": value}


def test_a_wrapped_body_may_be_an_object_and_has_no_other_keys() -> None:
    assert json.loads(encode("json", {"body": {"a": 1}}, wrapped=True)[0]) == {"a": 1}
    with pytest.raises(CallFailed, match="unknown: other"):
        encode("json", {"body": 1, "other": 2}, wrapped=True)


def test_every_way_to_send_a_file_gives_the_same_bytes() -> None:
    text = base64.b64encode(EVERY_BYTE).decode()
    ways: list[dict[str, Any]] = [
        {"file": {"filename": "a.wav", "content_type": "audio/wav", "data": text}},
        {"file": f"data:audio/wav;base64,{text}"},
        {"file_base64": text},
    ]
    for files in (None, ("file",)):
        for way in ways:
            ((name, filename, _, content),) = fields(way, files=files)
            assert (name, content) == ("file", EVERY_BYTE)
            assert filename


def test_names_types_and_order_are_kept() -> None:
    body = {"z": "1", "file": file(b"x", filename="grün é.txt", content_type="x/y"), "a": 2, "t": True, "n": None}
    assert fields(body) == [
        ("z", None, "", b"1"),
        ("file", "grün é.txt", "x/y", b"x"),
        ("a", None, "", b"2"),
        ("t", None, "", b"true"),
    ]


def test_a_list_repeats_the_field() -> None:
    body = {"f": [file(b"1", filename="1"), file(b"2", filename="2")], "tag": ["a", "b"]}
    assert [(name, content) for name, _, _, content in fields(body)] == [
        ("f", b"1"), ("f", b"2"), ("tag", b"a"), ("tag", b"b"),
    ]  # fmt: skip


def test_an_object_that_is_not_a_file_is_sent_as_json() -> None:
    assert fields({"options": {"a": 1}}) == [("options", None, "", b'{"a":1}')]


def test_an_empty_file_is_a_file() -> None:
    assert fields({"f": file(b"", filename="empty.bin")})[0][1:] == ("empty.bin", "application/octet-stream", b"")


def test_a_declared_file_that_is_plain_text_is_explained() -> None:
    with pytest.raises(CallFailed, match=r"`file` must be a file: send .*file_base64"):
        fields({"file": "hello"}, files=("file",))


def test_strings_are_not_files_if_the_file_fields_are_known() -> None:
    body = {"image_base64": "abcd", "note": "data:hello,world", "object": {"filename": "a", "data": "YQ=="}}
    assert [(name, filename) for name, filename, *_ in fields(body)] == [
        ("image", "image"), ("note", "note.txt"), ("object", "a"),
    ]  # fmt: skip
    assert fields(body, files=()) == [
        ("image_base64", None, "", b"abcd"),
        ("note", None, "", b"data:hello,world"),
        ("object", "a", "application/octet-stream", b"a"),
    ]


@pytest.mark.parametrize("data", ["%%%", "a=bc", "a" * 5])
def test_invalid_base64_is_named(data: str) -> None:
    with pytest.raises(CallFailed, match="`file` is not base64"):
        fields({"file": {"filename": "x", "data": data}})


def test_base64_in_lines_is_read() -> None:
    assert fields({"f_base64": base64.encodebytes(EVERY_BYTE).decode()}, files=("f",))[0][3] == EVERY_BYTE


@pytest.mark.parametrize("text", ["a\r\nb", "\0", "\x01", "a\tb", "\x7f", "\ud800"])
@pytest.mark.parametrize("key", ["filename", "content_type"])
def test_control_characters_are_rejected_in_file_descriptions(key: str, text: str) -> None:
    with pytest.raises(CallFailed, match=f"`file`: {key} cannot contain control characters"):
        encode("multipart", {"file": {"filename": "x", "data": "", key: text}})


@pytest.mark.parametrize("text", ["\x01", "\r\n", "\ud800"])
def test_control_characters_are_rejected_in_field_names_and_media_types(text: str) -> None:
    with pytest.raises(CallFailed, match="is not a valid field name"):
        encode("multipart", {text: "value"})
    with pytest.raises(CallFailed, match="`content_type` is not a valid media type"):
        encode("binary", {"data": "", "content_type": text})


@pytest.mark.parametrize("encoding", ["json", "multipart", "form", "text"])
def test_an_unpaired_surrogate_is_found_before_anything_is_sent(encoding: Encoding) -> None:
    with pytest.raises(UnicodeEncodeError):
        encode(encoding, {"text": "\ud800"})


def test_an_unpaired_surrogate_in_a_data_uri_is_named() -> None:
    with pytest.raises(CallFailed, match="`file` contains an unpaired surrogate"):
        encode("multipart", {"file": "data:text/plain,\ud800"})


def test_form_fields_repeat_and_nulls_are_left_out() -> None:
    data, kind = encode("form", {"a": ["1", 2], "b": None, "c": "é&="})
    assert parse_qsl(data.decode()) == [("a", "1"), ("a", "2"), ("c", "é&=")]
    assert kind == "application/x-www-form-urlencoded"


def test_binary_and_text_are_sent_as_bytes() -> None:
    assert encode("binary", file(EVERY_BYTE)) == (EVERY_BYTE, "application/octet-stream")
    assert encode("binary", file(b"x", content_type="image/png"), content_type="a/b") == (b"x", "image/png")
    assert encode("binary", {"data": "data:image/gif;base64,eA=="}) == (b"x", "image/gif")
    assert encode("binary", {"data": file(b"x", content_type="image/png")}) == (b"x", "image/png")
    with pytest.raises(CallFailed, match="neither a base64 string nor a file"):
        encode("binary", {"data": {"bytes": "eA=="}})
    assert encode("text", {"text": "é"}) == ("é".encode(), "text/plain; charset=utf-8")
    assert encode("text", {"text": "<a/>"}, content_type="application/xml") == (b"<a/>", "application/xml")


@pytest.mark.parametrize("encoding", ["binary", "text"])
def test_other_keys_of_a_binary_or_text_body_are_named(encoding: Encoding) -> None:
    with pytest.raises(CallFailed, match="other"):
        encode(encoding, {"other": 1})


def test_an_empty_object_may_be_no_body() -> None:
    assert encode_body(RequestFormat(encoding="json"), {}, may_be_empty=True).make() is None
    assert encode_body(RequestFormat(encoding="json"), {}, may_be_empty=False).make() == b"{}"


def test_an_undeclared_body_with_a_file_in_it_is_multipart() -> None:
    assert infer_request_format({"a": file(b"", filename="x")}).encoding == "multipart"
    assert infer_request_format({"a": [file(b"", content_type="x/y")]}).encoding == "multipart"
    assert infer_request_format({"a": {"data": "x"}}).encoding == "json"
    assert infer_request_format([1]).encoding == "json"


@given(st.dictionaries(NAME, st.binary(max_size=300), min_size=1, max_size=4), NAME, TEXT)
def test_what_a_multipart_parser_reads_is_what_was_sent(files: dict[str, bytes], filename: str, text: str) -> None:
    body: dict[str, Any] = {name: file(data, filename=filename) for name, data in files.items()}
    parts = fields({**body, "the text": text})
    assert [(name, data) for name, _, _, data in parts] == [*files.items(), ("the text", text.encode())]
    assert {name for _, name, _, _ in parts[:-1]} == {filename}


@given(st.dictionaries(TEXT, st.lists(TEXT, min_size=1, max_size=3), max_size=4))
def test_what_a_form_parser_reads_is_what_was_sent(body: dict[str, list[str]]) -> None:
    data, _ = encode("form", body)
    assert parse_qsl(data.decode(), keep_blank_values=True) == [(name, item) for name in body for item in body[name]]


@given(st.sampled_from(["json", "multipart", "form", "binary", "text", "none"]), st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | st.sampled_from(["data", "text", "body"]), inner, max_size=3),
))  # fmt: skip
def test_any_json_is_a_body_or_a_named_refusal(encoding: Encoding, body: Any) -> None:
    with contextlib.suppress(CallFailed):
        data, kind = encode(encoding, body)
        assert data is None or kind or encoding == "multipart"


@pytest.mark.parametrize("encoding", ["json", "none"])
def test_a_value_that_is_not_an_object_is_sent_as_json(encoding: Encoding) -> None:
    body = encode_body(RequestFormat(encoding=encoding, content_type="application/x+json"), [1], may_be_empty=True)
    assert (body.make(), body.content_type) == (b"[1]", "application/x+json")
