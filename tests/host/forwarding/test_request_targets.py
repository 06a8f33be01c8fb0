"""The forms of a request target."""

from __future__ import annotations

import pytest

from chutes_wrappers.host.forwarding.request_targets import normalise_target
from chutes_wrappers.host.forwarding.transport import ForwardingError
from tests.host.forwarding.fake_transport import FakeTransport, send_requests


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/a%2F?b=//c", "/a%2F?b=//c"),
        ("GET", "//a", "//a"),
        ("OPTIONS", "*", "*"),
    ],
)
def test_a_path_and_an_asterisk_stay_as_they_are(method: str, target: str, expected: str) -> None:
    assert normalise_target(method, target) == (expected, None)


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "http://127.0.0.1:8/a?b=http://c/", "/a?b=http://c/"),
        ("POST", "HTTP://127.0.0.1:8", "/"),
        ("GET", "https://127.0.0.1:8?a=1", "/?a=1"),
        ("OPTIONS", "http://127.0.0.1:8", "*"),
        ("OPTIONS", "http://127.0.0.1:8/", "/"),
    ],
)
def test_a_url_is_its_path_with_its_own_authority(method: str, target: str, expected: str) -> None:
    assert normalise_target(method, target) == (expected, "127.0.0.1:8")


@pytest.mark.parametrize(
    "target", ["*", "a", "a:80", "ftp://a/b", "http://", "http:///a", "http://u@a/", "/a#b", "http://a/#b"]
)
def test_anything_else_is_a_400(target: str) -> None:
    with pytest.raises(ForwardingError, match="neither a path nor a URL") as caught:
        normalise_target("GET", target)
    assert caught.value.status == 400


async def test_every_legal_form_reaches_the_service_on_one_connection() -> None:
    transport = FakeTransport()
    responses = await send_requests(
        transport,
        b"GET http://localhost:PORT/a?b=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        b"OPTIONS * HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n"
        b"POST /up HTTP/1.1\r\nHost: localhost:PORT\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
        b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
        b"GET /last HTTP/1.0\r\n\r\n",
    )
    assert [(call.method, call.target, call.body) for call in transport.calls] == [
        ("GET", "/a?b=1", b""),
        ("OPTIONS", "*", b""),
        ("POST", "/up", b"abc"),
        ("GET", "/last", b""),
    ]
    assert responses.count(b" 200 ") == 4


async def test_a_url_of_another_server_is_refused() -> None:
    transport = FakeTransport()
    response = await send_requests(
        transport,
        b"GET http://app.example/ HTTP/1.1\r\nHost: localhost:PORT\r\nConnection: close\r\n\r\n",
    )
    assert response.startswith(b"HTTP/1.1 403 ")
    assert transport.calls == []
