"""Multipart bodies as real clients write them."""

from __future__ import annotations

import contextlib
import warnings
from encodings.aliases import aliases

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.host.forwarding.multipart_reader import Field, InvalidMultipart, parse_multipart, parse_parameters

NAMES = st.text(st.characters(blacklist_characters='"\\%', blacklist_categories=["Cs", "Cc"]), min_size=1)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=300)), min_size=1))
def test_fields_written_by_requests_are_parsed_in_order(files: list[tuple[str, bytes]]) -> None:
    parts = [(name, ("file.bin", data, "x/y")) for name, data in files]
    request = requests.Request("POST", "http://a/", files=parts).prepare()
    assert isinstance(request.body, bytes)
    fields = parse_multipart(request.headers["Content-Type"], request.body)
    assert [(field.name, field.data, field.filename, field.content_type) for field in fields] == [
        (name, data, "file.bin", "x/y") for name, data in files
    ]


def test_a_form_of_a_browser_is_parsed() -> None:
    body = (
        b'--B\r\nContent-Disposition: form-data; name="a%22b"\r\n\r\n\xc3\xa9\r\n--B\r\n'
        b'content-disposition: form-data; name=f; filename=""\r\nContent-Type: application/octet-stream\r\n\r\n\r\n--B\r\n'
        b'Content-Disposition: form-data; name="g"; filename="x"; filename*=UTF-8\'\'%C3%A4.bin\r\n\r\n-- B\r\n\r\n--B--\r\n'
    )
    assert parse_multipart('multipart/form-data; boundary="B"', body) == [
        Field(name='a"b', data="é".encode()),
        Field(name="f", data=b"", filename="", content_type="application/octet-stream"),
        Field(name="g", data=b"-- B\r\n", filename="ä.bin"),
    ]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("form-data; name=a; filename=b.c", {"name": "a", "filename": "b.c"}),
        (r'form-data; name="a\"b\\c"; x=""', {"name": 'a"b\\c', "x": ""}),
        ('a/b; boundary="x; y=z"', {"boundary": "x; y=z"}),
        ("text/plain;charset=latin-1", {"charset": "latin-1"}),
        ("text/plain", {}),
    ],
)
def test_parameters_of_a_header(header: str, expected: dict[str, str]) -> None:
    assert parse_parameters(header) == expected


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--B--\r\n"),
        ("multipart/form-data; boundary=B", b""),
        ("multipart/form-data; boundary=B", b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\ncut'),
        ("multipart/form-data; boundary=B", b"--B\r\nno headers\r\n--B--"),
        ("multipart/form-data; boundary=B", b"--B\r\nX: y\r\n\r\nno name\r\n--B--"),
    ],
)
def test_an_invalid_multipart_body_is_named(content_type: str, body: bytes) -> None:
    with pytest.raises(InvalidMultipart):
        parse_multipart(content_type, body)


@pytest.mark.parametrize("charset", ["nonsense", "rot13", "zlib", "idna", "undefined", "a\0b", "x" * 5000])
def test_an_unknown_charset_of_a_file_name_is_named(charset: str) -> None:
    head = f"Content-Disposition: form-data; name=f; filename*={charset}''%C3%A4".encode()
    with pytest.raises(InvalidMultipart, match=r"is not .*, in filename\*") as caught:
        parse_multipart("multipart/form-data; boundary=B", b"--B\r\n" + head + b"\r\n\r\nx\r\n--B--")
    assert len(str(caught.value)) < 200


@given(charset=st.sampled_from(sorted({*aliases.values()})), value=st.text(max_size=5), body=st.binary(max_size=50))
def test_any_charset_and_body_is_parsed_or_named(charset: str, value: str, body: bytes) -> None:
    kind = f"multipart/form-data; boundary*={charset}''{value}%80"
    head = f"--B\r\nContent-Disposition: form-data; name=f; filename*={charset}''{value}%80\r\n\r\n".encode(
        "utf-8", "replace"
    )
    for content_type, data in ((kind, body), ("multipart/form-data; boundary=B", head + body + b"\r\n--B--")):
        with contextlib.suppress(InvalidMultipart), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parse_multipart(content_type, data)
