"""Parsing of a tunnel client's call, in any pieces."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.path_segments import MAX_PATH_LENGTH
from chutes_wrappers.runtime import tunnel_request
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.tunnel_frames import TunnelCall
from chutes_wrappers.runtime.tunnel_request import CallReader, find_hop_by_hop_names

PORTS = (8020, 8080)


def read(*pieces: bytes) -> TunnelCall:
    reader = CallReader()
    for piece in pieces:
        reader.feed(piece)
    return reader.finish(PORTS)


def call(**fields: Any) -> TunnelCall:
    return read(json.dumps({"port": 8020, "method": "GET", "target": "/", **fields}).encode())


def refusal(**fields: Any) -> str:
    with pytest.raises(CallFailed) as caught:
        call(**fields)
    assert caught.value.status == 400
    return str(caught.value)


@given(st.binary(max_size=300), st.lists(st.integers(0, 600), max_size=8), st.booleans())
def test_a_body_is_decoded_wherever_the_pieces_end(body: bytes, places: list[int], is_first: bool) -> None:
    encoded = base64.b64encode(body).decode()
    fields = {"port": 8020, "method": "PUT", "target": "/a?b", "headers": [["X", 'say "body": "no"']]}
    text = json.dumps({"body": encoded, **fields} if is_first else {**fields, "body": encoded}).encode()
    ends = sorted({place % (len(text) + 1) for place in places} | {len(text)})
    result = read(*(text[start:end] for start, end in zip([0, *ends], ends, strict=False)))
    expected = TunnelCall(port=8020, method="PUT", target="/a?b", headers=(("X", 'say "body": "no"'),), body=body)
    assert result == expected


def test_a_call_without_a_body_or_headers_is_whole() -> None:
    assert call() == TunnelCall(port=8020, method="GET", target="/")
    assert call(body="", headers=None) == call(body=None, headers=[]) == call()


def test_the_body_is_found_after_a_long_text() -> None:
    head = json.dumps({"port": 8020, "method": "POST", "target": "/" + "x" * 5000})[:-1].encode()
    for gap in range(1, 12):
        whole = head + b', "body" : "YWJj"}'
        assert read(*(whole[at : at + gap] for at in range(0, len(whole), gap))).body == b"abc"


@pytest.mark.parametrize("text", ["YQ=", "a-b_", "Y Q=", "ü", "YWJj=AAA"])
def test_a_body_that_is_not_base64_is_rejected_before_the_call_is_complete(text: str) -> None:
    reader = CallReader()
    with pytest.raises(CallFailed, match="`body` is not base64"):
        reader.feed(json.dumps({"body": text}, ensure_ascii=False).encode())


def test_a_call_that_is_too_large_is_refused_before_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tunnel_request.MAX_CALL_BYTES == 1024**3
    monkeypatch.setattr(tunnel_request, "MAX_CALL_BYTES", 2 * 1024**2)
    reader = CallReader()
    reader.feed(b"x" * 1024**2)
    reader.feed(b"x" * 1024**2)
    with pytest.raises(CallFailed, match="larger than 2 MiB"):
        reader.feed(b"x")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"5", b'"x"', b"null", b'{"port": 8020', b'{"body": "YQ=="'])
def test_a_call_that_is_not_an_object_is_rejected(text: bytes) -> None:
    with pytest.raises(CallFailed):
        read(text)


@pytest.mark.parametrize("missing", ["port", "method", "target"])
def test_a_call_names_port_method_and_target(missing: str) -> None:
    fields = {"port": 8020, "method": "GET", "target": "/"}
    del fields[missing]
    with pytest.raises(CallFailed, match="a call must be"):
        read(json.dumps(fields).encode())


def test_an_unknown_field_is_refused() -> None:
    assert "a call must be" in refusal(timeout=1)


def test_a_second_body_and_a_body_that_is_not_a_string_are_rejected() -> None:
    with pytest.raises(CallFailed, match="exists twice"):
        read(b'{"port": 8020, "method": "GET", "target": "/", "body": "YQ==", "body": "YQ=="}')
    for body in (5, {"a": 1}, ["YQ=="]):
        assert "`body`" in refusal(body=body)


@pytest.mark.parametrize("port", [8021, "8020", 8020.0, True, None, [8020]])
def test_only_the_tunnels_own_ports_are_reached(port: Any) -> None:
    assert refusal(port=port) == "`port` is not a port of this tunnel (8020, 8080)"
    assert call(port=8080).port == 8080


@pytest.mark.parametrize("method", ["CONNECT", "connect", "", "GET ", "G\nT", "GÉT", 5, None])
def test_an_unsupported_method_is_rejected(method: Any) -> None:
    assert "`method`" in refusal(method=method)


@pytest.mark.parametrize("method", ["GET", "head", "M-SEARCH", "!#$%&'*+.^_`|~9"])
def test_any_other_method_is_carried(method: str) -> None:
    assert call(method=method).method == method


@pytest.mark.parametrize(
    "target",
    ["", "a", "http://evil.example/", "/a b", "/ü", "/a\n", "/a#b", "*", 5, None, "/\x7f"],
)
def test_a_target_is_a_path_and_query_of_ascii(target: Any) -> None:
    assert "`target` is not an ASCII path and query" in refusal(target=target)


def test_options_may_ask_the_whole_server() -> None:
    assert call(method="OPTIONS", target="*").target == "*"


@pytest.mark.parametrize(
    "path",
    ["/..", "/../a", "/a/..", "/a/../b", "/a\\..\\b", "/..;x/a", "/%2e%2e/a", "/.%2E/a", "/%252e%252e/a", "/a%2f..%2fb",
     "/%25252e%25252e", "/a/..?b"],
)  # fmt: skip
def test_a_parent_path_is_rejected_however_it_is_encoded(path: str) -> None:
    assert refusal(target=path) == "the path of `target` contains the segment '..' when it is decoded"


@pytest.mark.parametrize("path", ["/.", "/%2e", "/a/./b"])
def test_the_segment_dot_is_rejected_as_in_path_parameters(path: str) -> None:
    assert refusal(target=path) == "the path of `target` contains the segment '.' when it is decoded"


def test_a_long_query_is_no_problem_of_the_path() -> None:
    assert "longer than 64 KiB" in refusal(target="/" + "x" * MAX_PATH_LENGTH)
    target = "/?" + "%2e" * MAX_PATH_LENGTH
    assert call(target=target).target == target


@pytest.mark.parametrize(
    "target", ["/a?..", "/a?b=/../c", "/...", "/..a", "/a..", "/.a/%2ea", "/a%20b", "//a", "/%zz%"]
)
def test_dots_elsewhere_go_through_unchanged(target: str) -> None:
    assert call(target=target).target == target


@pytest.mark.parametrize(
    "headers",
    [{"A": "b"}, "A: b", [["A"]], [["A", "b", "c"]], [["A", 5]], [[5, "a"]], ["A: b"], [{"A": "b"}], 5],
)
def test_headers_are_a_list_of_pairs(headers: Any) -> None:
    assert refusal(headers=headers) == "`headers` is not a list of [name, value]"


@pytest.mark.parametrize("pair", [["", "a"], ["A b", "a"], ["A:", "a"], ["Ä", "a"], ["A", "a\nb"], ["A", "a\rb"],
                                  ["A", "a\0b"], ["A", "€"]])  # fmt: skip
def test_a_header_that_http_cannot_carry_is_named(pair: list[str]) -> None:
    assert refusal(headers=[pair]) == (
        f"the header {pair[0]!r} is invalid: a name must be a token, a value one line of latin-1"
    )


def test_headers_keep_their_order_case_and_repetitions_and_lose_space_around_them() -> None:
    headers = [["B", " 1\t"], ["a", "é"], ["B", ""], ["B", "a b"]]
    assert call(headers=headers).headers == (("B", "1"), ("a", "é"), ("B", ""), ("B", "a b"))


def test_hop_by_hop_headers_are_dropped() -> None:
    theirs = ["Keep-Alive", "proxy-connection", "Proxy-Authenticate", "PROXY-AUTHORIZATION", "TE", "Trailer", "Upgrade"]
    assert find_hop_by_hop_names([]) == {"connection", *map(str.lower, theirs)}
    forwarded = (("Transfer-Encoding", "chunked"), ("X", "1"), ("Keep-Alives", "2"))
    headers = [*((name, "x") for name in theirs), ("Connection", "close"), *forwarded]
    assert call(headers=[list(pair) for pair in headers]).headers == forwarded


def test_the_headers_that_a_connection_names_are_dropped_too() -> None:
    headers = [["Connection", "X-One, x-two"], ["CONNECTION", "x-three"], ["x-ONE", "1"], ["X-Two", "2"], ["X-Three", "3"],
               ["X-Four", "4"]]  # fmt: skip
    assert call(headers=headers).headers == (("X-Four", "4"),)
