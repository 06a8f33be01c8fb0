"""Heads that only a strict parser refuses, in pieces of any size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.runtime.response_heads import MAX_HEAD_BYTES, HeadReader, InvalidHead, NotHTTP, repair_head

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 2\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
REPAIRED = [
    (LENGTH * 2, LENGTH),
    (b"Content-Length: 2, 2\r\n", LENGTH),
    (b"content-length:2\r\nX: 1\r\nCONTENT-LENGTH: 2 \r\n", b"X: 1\r\n" + LENGTH),
    (b"Content-Length : 2\r\n", LENGTH),
    (CHUNKED + LENGTH, CHUNKED + b"Connection: close\r\n"),
    (LENGTH + b"Connection: keep-alive\r\n" + CHUNKED, CHUNKED + b"Connection: close\r\n"),
    (CHUNKED * 2, CHUNKED),
    (b"Transfer-Encoding: identity\r\n" + LENGTH, LENGTH),
    (b"X A: 1\r\nnonsense\r\n: 3\r\nX-B : 2\r\n" + LENGTH, b"X-B: 2\r\n" + LENGTH),
    (b"X: a\r\n\tb: c\r\n" + LENGTH, b"X: a b: c\r\n" + LENGTH),
]
UNCHANGED = [
    b"",
    LENGTH,
    CHUNKED,
    b"X:\r\nX: \xe9 b, c: d\r\n" + LENGTH,
    b"Transfer-Encoding: gzip, chunked\r\n",
]


@pytest.mark.parametrize(("headers", "repaired"), REPAIRED)
def test_a_head_is_read_as_browsers_read_it(headers: bytes, repaired: bytes) -> None:
    assert repair_head(OK + headers + b"\r\n") == OK + repaired + b"\r\n"
    with_line_feeds = (OK + headers + b"\r\n").replace(b"\r\n", b"\n")
    assert repair_head(with_line_feeds) == OK + repaired + b"\r\n"


@pytest.mark.parametrize("headers", UNCHANGED)
def test_any_other_head_stays(headers: bytes) -> None:
    assert repair_head(OK + headers + b"\r\n") == OK + headers + b"\r\n"


@pytest.mark.parametrize(("status", "is_dropped"), [(b"103", True), (b"204", True), (b"304", False), (b"205", False)])
def test_a_status_without_a_body_has_no_length(status: bytes, *, is_dropped: bool) -> None:
    head = b"HTTP/1.1 " + status + b" X\r\nX: 1\r\n" + LENGTH + b"\r\n"
    assert (LENGTH in repair_head(head)) != is_dropped
    assert b"X: 1\r\n" in repair_head(head)


@given(
    st.sampled_from([OK + headers + b"\r\n" for headers, _ in REPAIRED]),
    st.lists(st.sampled_from([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 E\r\nLink: </a>\r\n\r\n"]), max_size=2),
    st.sampled_from([b"", b"\r\n", b"\n"]),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_a_response_is_the_same_in_any_pieces(
    head: bytes, interim: list[bytes], before: bytes, places: list[int]
) -> None:
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n\n\n"
    data = before + b"".join(interim) + head + body
    cuts = sorted({place % len(data) for place in places})
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    reader = HeadReader()
    assert b"".join(map(reader.feed, pieces)) == b"".join(interim) + repair_head(head) + body
    assert reader.finish() == b""


@pytest.mark.parametrize("headers", [LENGTH + b"Content-Length: 3\r\n", b"Content-Length: 2, 3\r\n"])
def test_lengths_that_differ_are_named(headers: bytes) -> None:
    with pytest.raises(InvalidHead, match="it has different Content-Lengths"):
        HeadReader().feed(OK + headers + b"\r\n")


def test_the_size_of_a_head_is_limited_and_the_limit_named() -> None:
    largest = OK + b"X: " + b"x" * (MAX_HEAD_BYTES - len(OK) - 7) + b"\r\n\r\n"
    assert HeadReader().feed(largest) == largest
    for data in (largest.replace(b"X: ", b"X: x"), OK + b"X: 1\r\n" * (MAX_HEAD_BYTES // 6)):
        with pytest.raises(InvalidHead, match="its header is larger than 512 KiB"):
            HeadReader().feed(data)


@pytest.mark.parametrize("data", [b"-ERR what\r\n", b"\x15\x03\x01", b"SSH-2.0-x", b"HTT", b"<html>"])
def test_another_protocol_is_named_at_once(data: bytes) -> None:
    reader = HeadReader()
    if data == b"HTT":  # may become one
        assert (reader.feed(data), reader.finish()) == (b"", b"HTT")
        return
    with pytest.raises(NotHTTP, match="not HTTP: it begins with b") as refused:
        reader.feed(data)
    assert NotHTTP.is_reason(str(refused.value))


def test_a_malicious_head_is_read_in_linear_time() -> None:
    for line in (b"\n" + b" " * 400_000, b"\n" + b"a " * 200_000, b"\ncontent-length:" * 20_000):
        assert repair_head(OK + line + b"\r\n\r\n").endswith(b"\r\n\r\n")
