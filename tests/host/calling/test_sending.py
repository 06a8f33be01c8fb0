"""The bytes of a call, against servers with scripted responses."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.calling import sending
from chutes_wrappers.host.calling.sending import CallResponse, build_upload, send_call
from chutes_wrappers.host.calling.target import Target
from chutes_wrappers.host.forwarding.chute_client import ChuteAddress
from chutes_wrappers.host.platform_api.api_client import PlatformUnreachable
from tests.host.platform_api.test_whole_responses import serve_drips
from tests.scenario import find_free_port
from tests.upstreams.raw import serve_full_backlog, serve_raw, serve_reply

KEY = "cpk_secret"


def send_get(port: int, method: str = "POST") -> tuple[int, bytes]:
    address = ChuteAddress(url=f"http://tester-case.localhost:{port}", key=KEY)
    with send_call(
        address, Target(method=method, path="/x?token=hidden"), build_upload(None), timeout_s=0.3
    ) as response:
        return response.status, b"".join(response.pieces)


async def serve_one_call(response: bytes, method: str = "POST") -> tuple[tuple[int, bytes] | Exception, list[bytes]]:
    heads: list[bytes] = []
    async with serve_reply(response, heads) as port:
        try:
            return await asyncio.to_thread(send_get, port, method), heads
        except PlatformUnreachable as error:
            return error, heads


async def test_host_and_key_are_in_the_headers_despite_netrc(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path_factory.mktemp("home") / ".netrc"
    netrc.write_text("default login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{find_free_port()}")
    result, heads = await serve_one_call(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert result == (200, b"{}")
    (head,) = heads
    assert head.startswith(b"POST /x?token=hidden HTTP/1.1\r\n")
    assert b"\r\nHost: tester-case.localhost:" in head
    assert b"\r\nAuthorization: Bearer cpk_secret\r\n" in head
    assert b"\r\nContent-Type: application/json\r\n" in head


async def test_a_redirect_is_returned_and_not_followed() -> None:
    redirect = (
        f"HTTP/1.1 307 See\r\nLocation: http://127.0.0.1:{find_free_port()}/\r\nContent-Length: 0\r\n\r\n".encode()
    )
    assert (await serve_one_call(redirect))[0] == (307, b"")


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
async def test_a_broken_connection_is_an_error_without_a_retry(response: bytes) -> None:
    for method in ("GET", "POST"):
        result, heads = await serve_one_call(response, method)
        assert isinstance(result, PlatformUnreachable), result
        assert len(heads) == 1
        for hidden in (KEY, "token=hidden"):
            assert hidden not in str(result)


async def test_a_connection_that_closes_while_a_too_large_body_is_sent_is_explained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending, "MAX_REQUEST_BYTES", 1)
    result, _ = await serve_one_call(b"")
    assert "the connection closed while a body of 0.0 MiB was sent" in str(result)
    assert "96 MiB of a file" in str(result)
    with pytest.raises(PlatformUnreachable, match="cannot be reached"):
        send_get(find_free_port())


def test_a_timeout_is_an_error_that_names_the_flag() -> None:
    with serve_full_backlog() as port, pytest.raises(PlatformUnreachable, match="--timeout"):
        send_get(port)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(PlatformUnreachable, match="the chute sent nothing"),
    ):
        send_get(silent.getsockname()[1])
    with pytest.raises(PlatformUnreachable, match="it is not sent again"):
        send_get(find_free_port())


def test_an_upload_reports_its_progress() -> None:
    upload = build_upload({"data": "x" * 3_000_000})
    assert str(upload) == "sent 0.0 of 3.0 MB"
    upload.read(1_500_000)
    assert str(upload) == "sent 1.5 of 3.0 MB"
    upload.read()
    assert str(upload) == "no response yet"


async def test_a_large_upload_has_its_length_and_is_sent_whole() -> None:
    def sent(port: int) -> str:
        upload = build_upload({"data": "x" * 3_000_000})
        address = ChuteAddress(url=f"http://tester-case.localhost:{port}", key=KEY)
        with send_call(address, Target(method="POST", path="/"), upload, timeout_s=60) as response:
            list(response.pieces)
        return str(upload)

    received: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        received.append(await reader.readexactly(3_000_012))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async with serve_raw(talk) as port:
        assert await asyncio.to_thread(sent, port) == "no response yet"
    assert b"\r\nContent-Length: 3000012\r\n" in received[0]
    assert b"transfer-encoding" not in received[0].lower()
    assert received[1] == json.dumps({"data": "x" * 3_000_000}).encode()


def test_a_response_without_an_end_is_not_read_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "_MAX_RESPONSE_BYTES", 2 * 1024**2)
    piece = b"x" * 1024**2

    def respond(pieces: int | None) -> CallResponse:
        body = itertools.repeat(piece) if pieces is None else itertools.repeat(piece, pieces)
        return CallResponse(status=200, content_type="", started_at=0, pieces=iter(body))

    assert respond(2).read() == piece * 2
    for pieces in (3, None):
        with pytest.raises(WrapperError, match="the response is larger than 2 MiB"):
            respond(pieces).read()


@pytest.mark.parametrize("head", ["", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"])
def test_a_call_whose_data_never_ends_is_ended(head: str) -> None:
    with serve_drips(head.encode(), b"HTTP/1.1 100 Continue\r\n\r\n" if not head else b"x") as url:
        address = ChuteAddress(url=url, key=KEY)
        target = Target(method="POST", path="/x")
        with (
            pytest.raises(PlatformUnreachable, match=r"did not end within 0.3 s"),
            send_call(address, target, build_upload(None), timeout_s=60, limit_s=0.3) as response,
        ):
            response.read()
