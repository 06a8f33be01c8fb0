from __future__ import annotations

import re
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.host.forwarding.response_heads import build_response
from chutes_wrappers.host.forwarding.transport import ForwardingError
from chutes_wrappers.runtime.tunnel_frames import Head

INVALID: list[tuple[dict[str, Any], str]] = [
    ({"status": 99}, "the status 99"),
    ({"status": 101}, "the status 101"),
    ({"status": 103}, "the status 103"),
    ({"status": 600}, "the status 600"),
    ({"status": -200}, "the status -200"),
    ({"status": 10**300}, "the status 1000"),
    ({"reason": "G\u20acht"}, r"the reason 'G\u20acht'"),
    ({"reason": "\ud800"}, "the reason"),
    ({"reason": "OK\r\nSet-Cookie: a=b"}, "the reason"),
    ({"reason": "OK\0"}, "the reason"),
    ({"reason": "\x1b[2J"}, "the reason"),
    ({"headers": (("X-A", "\u20ac"),)}, "the header 'X-A'"),
    ({"headers": (("X-A", "\udce9"),)}, "the header 'X-A'"),
    ({"headers": (("\u540d", "1"),)}, "the header"),
    ({"headers": (("X-A", "1\r\nX-B: 2"),)}, "Illegal header value"),
    ({"headers": (("X-A", "1\n"),)}, "Illegal header value"),
    ({"headers": (("X-A", "\0"),)}, "Illegal header value"),
    ({"headers": (("X-A: 1\r\nX-B", "2"),)}, "Illegal header name"),
    ({"headers": (("", "2"),)}, "Illegal header name"),
    ({"headers": (("X A", "2"),)}, "Illegal header name"),
    ({"headers": (("X-\xe9", "2"),)}, "Illegal header name"),
    ({"headers": (("Content-Length", "2"), ("content-length", "3"))}, "Content-Length"),
    ({"headers": (("Content-Length", "2, 3"),)}, "Content-Length"),
    ({"headers": (("Content-Length", "-1"),)}, "Content-Length"),
    ({"headers": (("Content-Length", "9" * 5000),)}, "Content-Length"),
    ({"headers": (("Content-Length", "\xb2"),)}, "Content-Length"),
    ({"headers": (("Transfer-Encoding", "chunked"),)}, "Transfer-Encoding"),
    ({"headers": (("Transfer-Encoding", "gzip"), ("Content-Length", "2"))}, "Transfer-Encoding"),
]


@pytest.mark.parametrize(("parts", "reason"), INVALID)
def test_an_invalid_head_is_a_502_that_names_the_part(parts: dict[str, Any], reason: str) -> None:
    with pytest.raises(ForwardingError, match=r"is not valid HTTP/1\.1") as caught:
        build_response(Head(**{"status": 200, **parts}))
    assert caught.value.status == 502
    assert reason in caught.value.text
    assert len(caught.value.text) < 400


def test_a_valid_head_is_unchanged() -> None:
    head = Head(status=599, reason="\xe9 \t!", headers=(("X-A", "\xff\x01"), ("x-a", ""), ("Content-Length", "2")))
    response = build_response(head)
    assert (response.status_code, response.reason) == (599, b"\xe9 \t!")
    assert response.headers.raw_items() == [(b"X-A", b"\xff\x01"), (b"x-a", b""), (b"Content-Length", b"2")]


TEXT = st.text(max_size=12) | st.text(st.characters(max_codepoint=255), max_size=12)
NAME = TEXT | st.sampled_from(["Content-Length", "Transfer-Encoding", "Connection", "X-A"])
VALUE = TEXT | st.sampled_from(["0", "2", "2,2", "chunked", "close", "keep-alive", "upgrade", "a\r\nb: c"])
HEADS = st.builds(
    Head,
    status=st.sampled_from([200, 204, 304, 404]) | st.integers(),
    reason=TEXT,
    headers=st.lists(st.tuples(NAME, VALUE), max_size=4).map(tuple),
)
CONTROLS = re.compile(rb"[\r\n\0]")


@given(HEADS)
def test_every_head_is_one_valid_response_or_a_502(head: Head) -> None:
    failure: ForwardingError | None = None
    try:
        response = build_response(head)
    except ForwardingError as error:
        failure = error
    if failure is not None:
        assert (failure.status, failure.text) == (502, failure.text.encode().decode())
        return
    server, client = h11.Connection(h11.SERVER), h11.Connection(h11.CLIENT)
    server.receive_data(client.send(h11.Request(method="GET", target="/", headers=[("Host", "x")])) or b"")
    server.next_event()
    client.receive_data(server.send(response) or b"")
    received = client.next_event()
    assert isinstance(received, h11.Response)
    assert (received.status_code, received.reason) == (head.status, head.reason.encode("latin-1"))
    assert not any(CONTROLS.search(name + value) for name, value in received.headers)
