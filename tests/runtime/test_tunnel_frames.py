"""What both ends of a tunnel say to each other."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.tunnel_frames import (
    MAX_DATA_BYTES,
    MAX_LINE_BYTES,
    Data,
    End,
    Failure,
    Frame,
    Head,
    TunnelBroken,
    TunnelCall,
    Wait,
    compute_call_length,
    decode,
    encode,
    iter_call_pieces,
)
from chutes_wrappers.runtime.tunnel_request import CallReader

LATIN_1 = st.text(st.characters(min_codepoint=0, max_codepoint=255))
HEADERS = st.lists(st.tuples(LATIN_1, LATIN_1)).map(tuple)
FRAMES = st.one_of(
    st.builds(Head, status=st.integers(200, 599), reason=LATIN_1, headers=HEADERS),
    st.builds(Data, st.binary(min_size=1)),
    st.builds(Failure, st.text()),
    st.sampled_from([Wait(), End()]),
)


def read(call: dict[str, object] | bytes, *ports: int, piece: int = 10**9) -> TunnelCall:
    body = call if isinstance(call, bytes) else json.dumps(call).encode()
    reader = CallReader()
    for start in range(0, len(body), piece):
        reader.feed(body[start : start + piece])
    return reader.finish(ports or (80,))


def a_call(**changes: object) -> dict[str, object]:
    return {"port": 80, "method": "GET", "target": "/", **changes}


@given(FRAMES)
def test_a_frame_round_trips_as_one_line_of_ascii(frame: Frame) -> None:
    line = encode(frame)
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert decode(line) == frame


@pytest.mark.parametrize("size", [0, 1, MAX_DATA_BYTES, MAX_DATA_BYTES + 1, 3 * MAX_DATA_BYTES + 7])
def test_bytes_of_any_size_are_lines_of_bounded_length(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    lines = encode(Data(data[:size])).splitlines(keepends=True)
    assert all(len(line) <= MAX_DATA_BYTES * 4 / 3 + 8 for line in lines)
    frames = [decode(line) for line in lines]
    assert b"".join(frame.data for frame in frames if isinstance(frame, Data)) == data[:size]


@pytest.mark.parametrize(
    "line", [b"", b'{"end": true}', b"AAA", b"AAA\n", b"{\n", b"{}\n", b"[]\n", b'{"x": 1}\n', b'{"status": 200}\n']
)
def test_an_invalid_frame_is_named(line: bytes) -> None:
    with pytest.raises(TunnelBroken):
        decode(line)


@given(st.binary(max_size=2000), st.integers(1, 300))
def test_a_call_is_read_from_pieces_of_any_size(body: bytes, piece: int) -> None:
    call = TunnelCall(port=80, method="PUT", target="/a?b=%20", headers=(("A", "é"), ("A", '"body": "x"')), body=body)
    sent = b"".join(iter_call_pieces(call))
    assert len(sent) == compute_call_length(call)
    assert read(sent, piece=piece) == call


def test_the_bounds_of_a_line_and_of_its_bytes_are_fixed() -> None:
    """Forwarders of other versions read these lines too."""
    assert (MAX_DATA_BYTES, MAX_LINE_BYTES) == (131_072, 4_194_304)


@pytest.mark.parametrize("size", [MAX_DATA_BYTES - 1, MAX_DATA_BYTES, 10 * MAX_DATA_BYTES + 7])
def test_a_large_body_is_sent_in_bounded_pieces(size: int) -> None:
    call = TunnelCall(port=80, method="PUT", target="/", body=(bytes(range(256)) * (size // 256 + 1))[:size])
    pieces = list(iter_call_pieces(call))
    assert max(map(len, pieces)) <= MAX_DATA_BYTES * 4 // 3
    assert sum(map(len, pieces)) == compute_call_length(call)
    assert read(b"".join(pieces)) == call


def test_the_body_may_come_first() -> None:
    call = {"body": "YWJj", **a_call(headers=[["body", "x"]])}
    assert read(call, piece=3) == TunnelCall(port=80, method="GET", target="/", headers=(("body", "x"),), body=b"abc")


def test_hop_by_hop_headers_are_dropped() -> None:
    pairs = [["Connection", "keep-alive, X-Mine"], ["x-mine", "1"], ["Upgrade", "websocket"], ["TE", "x"], ["A", "1"]]
    assert read(a_call(headers=pairs)).headers == (("A", "1"),)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (b"", "JSON"),
        (b"[]", "a call must be"),
        (b"\xff", "JSON"),
        (b'{"port": 80', "JSON"),
        ({"port": 80, "method": "GET"}, "a call must be"),
        (a_call(more=1), "a call must be"),
        (a_call(port=81), "port"),
        (a_call(port="80"), "port"),
        (a_call(port=80.0), "port"),
        (a_call(port=True), "port"),
        (a_call(port=[80]), "port"),
        (a_call(method="G T"), "method"),
        (a_call(method="GET\r\nX: y"), "method"),
        (a_call(method="CONNECT"), "method"),
        (a_call(method=""), "method"),
        (a_call(method=1), "method"),
        (a_call(target=""), "target"),
        (a_call(target="*"), "target"),
        (a_call(target="http://elsewhere/"), "target"),
        (a_call(target="elsewhere:80"), "target"),
        (a_call(target="/a b"), "target"),
        (a_call(target="/a\r\nX: y"), "target"),
        (a_call(target="/é"), "target"),
        (a_call(target="/a/../b"), "'..'"),
        (a_call(target="/.."), "'..'"),
        (a_call(target="/a/%2e%2E/b"), "'..'"),
        (a_call(target="/a/..%2fb"), "'..'"),
        (a_call(target="/a/%252e%252e/b"), "'..'"),
        (a_call(target="/a/..\\b"), "'..'"),
        (a_call(target="/a/..;x/b"), "'..'"),
        (a_call(headers={"a": "b"}), "headers"),
        (a_call(headers=[["a"]]), "headers"),
        (a_call(headers=[["a", 1]]), "headers"),
        (a_call(headers=[["a b", "c"]]), "header"),
        (a_call(headers=[["", "c"]]), "header"),
        (a_call(headers=[["a", "b\r\nc: d"]]), "header"),
        (a_call(headers=[["a", "b\nc"]]), "header"),
        (a_call(headers=[["a", "b\0"]]), "header"),
        (a_call(headers=[["a", "€"]]), "header"),
        (a_call(body="?"), "base64"),
        (a_call(body="YQ"), "base64"),
        (a_call(body=5), "body"),
        (a_call(body={"body": "YQ=="}), "body"),
    ],
)
def test_an_invalid_call_is_rejected(call: dict[str, object] | bytes, named: str) -> None:
    with pytest.raises(CallFailed, match=named) as caught:
        read(call)
    assert caught.value.status == 400


@pytest.mark.parametrize("target", ["/", "//a//b", "/a/...", "/a%2Fb?x=/../y&z=%2e%2e", "/a/.b/..c"])
def test_other_targets_stay_as_they_are(target: str) -> None:
    assert read(a_call(target=target)).target == target


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda parts: st.lists(parts) | st.dictionaries(st.sampled_from(["port", "method", "target", "headers", "body"]), parts)))  # fmt: skip
def test_nothing_that_can_be_sent_raises_anything_else(call: object) -> None:
    with pytest.raises(CallFailed):
        read(json.dumps(call).encode())
