"""``data:`` URLs, compared with what browsers make of them (cases of WHATWG's Fetch and MIME Sniffing standards)."""

from __future__ import annotations

import pytest

from chutes_wrappers.runtime.data_urls import DataURL, InvalidBase64, decode_forgiving_base64, parse_data_url

DEFAULT = "text/plain;charset=US-ASCII"


@pytest.mark.parametrize(
    ("url", "content_type", "data"),
    [
        ("data:,a%20b", DEFAULT, b"a b"),
        ("data:;base64,", DEFAULT, b""),
        ("DATA:text/x;base64,YQ==", "text/x", b"a"),
        (" data:text/x,a ", "text/x", b"a"),
        ("data:text/plain;base64,aGk%2FPg%3D%3D", "text/plain", b"hi?>"),
        ("data:text/plain;base64,aGk/Pg", "text/plain", b"hi?>"),
        ("data:text/plain;base64,aG k/\nPg==", "text/plain", b"hi?>"),
        ("data:text/plain;  BASE64,YQ", "text/plain", b"a"),
        ("data:text/plain;base64 ,YQ", "text/plain", b"a"),
        ("data:text/plain;base64;,YQ", "text/plain", b"YQ"),
        ("data:text/plain;base64x,YQ", "text/plain", b"YQ"),
        ("data:image/svg+xml;utf8,<svg/>", "image/svg+xml", b"<svg/>"),
        ("data:image/svg+xml;charset=utf-8,%3Csvg a='b'/%3E", "image/svg+xml;charset=utf-8", b"<svg a='b'/>"),
        ("data:image/svg+xml,<svg fill='#fff'/>", "image/svg+xml", b"<svg fill='"),
        ("data:text/plain;charset=utf-8,é%C3%A9", "text/plain;charset=utf-8", "éé".encode()),
        ("data:text/plain,a?b=c,d", "text/plain", b"a?b=c,d"),
        ("data:text/plain,100%", "text/plain", b"100%"),
        ("data:;charset=x,a", "text/plain;charset=x", b"a"),
        ("data:x,a", DEFAULT, b"a"),
        ("data:text/,a", DEFAULT, b"a"),
        ("data:te xt/x,a", DEFAULT, b"a"),
        ("data:Image/PNG;Name=a b.png;base64,YQ==", 'image/png;name="a b.png"', b"a"),
        ("data:text/x;a=1;a=2;b=;=c;d;e=3,z", "text/x;a=1;e=3", b"z"),
        ('data:text/x;a="1;2";b=3,z', 'text/x;a="1;2";b=3', b"z"),
        ("data:te\nxt/x,a\tb", "text/x", b"ab"),
    ],
)
def test_a_url_is_read_as_browsers_read_it(url: str, content_type: str, data: bytes) -> None:
    assert parse_data_url(url) == DataURL(content_type=content_type, data=data)


@pytest.mark.parametrize("text", ["", "data:", "data:text/plain", "data:a#,b", "datax:,a", "http://a/,b"])
def test_other_text_is_no_data_url(text: str) -> None:
    assert parse_data_url(text) is None


@pytest.mark.parametrize(
    ("text", "data"), [("", b""), ("YQ", b"a"), ("YWI", b"ab"), (" Y\tQ\f=\r\n= ", b"a"), ("YR==", b"a")]
)
def test_base64_is_decoded_forgivingly(text: str, data: bytes) -> None:
    assert decode_forgiving_base64(text) == data


@pytest.mark.parametrize("text", ["Y", "YQ=", "YQ===", "Y=Q=", "=", "YQ-_", "é"])
def test_invalid_base64_has_a_reason(text: str) -> None:
    with pytest.raises(InvalidBase64, match=r"it (contains|ends)"):
        decode_forgiving_base64(text)
    with pytest.raises(InvalidBase64):
        parse_data_url(f"data:;base64,{text}")
