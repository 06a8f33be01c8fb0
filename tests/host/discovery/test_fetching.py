from __future__ import annotations

import gzip
import itertools
import time
import zlib
from collections.abc import Iterator

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.discovery.fetching import Answer, Service, Silence, fetch, open_session
from tests.upstreams.scripted import Reply, json_reply, redirect, serving, speaking, unused_port

MEBIBYTE = b" " * 1024**2


async def get(
    root: str, path: str, *, timeout_s: float = 60, follow: bool = True, port: int = 8020
) -> Answer | Silence:
    async with open_session() as session:
        return await fetch(session, Service(port=port, root=root), path, timeout_s=timeout_s, follow=follow)


async def answer(root: str, path: str, *, follow: bool = True) -> Answer:
    result = await get(root, path, follow=follow)
    assert isinstance(result, Answer)
    return result


async def test_an_answer_carries_status_type_and_body() -> None:
    with serving({"/a?b=c%20d": json_reply({"x": 1})}) as server:
        found = await answer(server.root, "/a?b=c%20d")
    assert (found.status, found.content_type, found.body, found.problem) == (200, "application/json", b'{"x": 1}', None)


async def test_redirects_are_followed_on_the_same_service() -> None:
    with serving({"/a": redirect("/b"), "/b": redirect("c/d"), "/c/d": json_reply(1)}) as server:
        found = await answer(server.root, "/a")
        assert (found.status, found.path) == (200, "/c/d")
        assert (await answer(server.root, "/a", follow=False)).status == 302


async def test_a_service_that_names_its_own_port_means_itself() -> None:
    with serving({"/a": redirect("http://localhost:8020/b"), "/b": json_reply(1)}) as server:
        assert (await answer(server.root, "/a")).status == 200


@pytest.mark.parametrize(
    "target", ["http://example.com/openapi.json", "//example.com/x", "file:///etc/passwd", "http://127.0.0.1:1/"]
)
async def test_a_redirect_to_another_host_is_named_not_followed(target: str) -> None:
    with serving({"/a": redirect(target)}) as server:
        assert "redirects to another host" in str((await answer(server.root, "/a")).problem)


async def test_redirects_in_a_circle_end() -> None:
    with serving({"/a": redirect("/b"), "/b": redirect("/a")}) as server:
        assert (await answer(server.root, "/a")).problem == "redirects without end"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(headers={"Content-Length": str(50 * 1024**2)}, body=(b"" for _ in range(1))),
        Reply(body=itertools.repeat(MEBIBYTE, 50)),
        Reply(body=itertools.repeat(MEBIBYTE)),
        Reply(headers={"Content-Encoding": "gzip"}, body=gzip.compress(MEBIBYTE * 200, 9)),
        Reply(headers={"Content-Encoding": "deflate"}, body=zlib.compress(MEBIBYTE * 50, 9)),
    ],
    ids=["announced", "50 MiB", "endless", "gzip bomb", "deflate bomb"],
)
async def test_a_body_beyond_48_mebibytes_is_left_unread(reply: Reply) -> None:
    with serving({"/a": reply}) as server:
        found = await answer(server.root, "/a")
    assert (found.body, found.problem) == (b"", "is larger than 48 MiB")


async def test_a_compressed_body_is_read() -> None:
    with serving({"/a": Reply(headers={"Content-Encoding": "gzip"}, body=gzip.compress(b"{}"))}) as server:
        assert (await answer(server.root, "/a")).body == b"{}"


@pytest.mark.parametrize(("encoding", "what"), [("br", "compressed with 'br'"), ("gzip", "is not the gzip")])
async def test_an_unreadable_compression_is_named(encoding: str, what: str) -> None:
    with serving({"/a": Reply(headers={"Content-Encoding": encoding}, body=b"nonsense")}) as server:
        assert what in str((await answer(server.root, "/a")).problem)


async def test_a_body_that_drips_is_given_up() -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            time.sleep(0.05)
            yield b"x"

    def drip() -> Reply:
        return Reply(body=pieces())

    with serving({"/a": drip}) as server:
        found = await get(server.root, "/a", timeout_s=0.3)
    assert found == Silence(reason="it did not answer in time")


async def test_nobody_there_is_silence() -> None:
    found = await get(f"http://127.0.0.1:{unused_port()}", "/a")
    assert isinstance(found, Silence)
    assert not found.is_other_protocol


@pytest.mark.parametrize("greeting", [b"-ERR unknown command\r\n", b"\x00\x01\x02" * 50, b"SSH-2.0-OpenSSH_9.2\r\n"])
async def test_another_protocol_is_recognised(greeting: bytes) -> None:
    with speaking(greeting) as port:
        found = await get(f"http://127.0.0.1:{port}", "/a")
    assert isinstance(found, Silence)
    assert found.is_other_protocol


async def test_a_port_that_hangs_up_is_silent_but_may_come() -> None:
    with speaking(b"") as port:
        found = await get(f"http://127.0.0.1:{port}", "/a")
    assert isinstance(found, Silence)
    assert not found.is_other_protocol


@pytest.mark.parametrize(
    ("url", "port", "service"),
    [
        ("http://127.0.0.1:8020", None, Service(port=8020, root="http://127.0.0.1:8020")),
        ("http://127.0.0.1:32768/", 8020, Service(port=8020, root="http://127.0.0.1:32768")),
        ("https://example.com", None, Service(port=443, root="https://example.com")),
    ],
)
def test_a_base_url_names_a_service(url: str, port: int | None, service: Service) -> None:
    assert Service.from_url(url, port) == service


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8020", "ftp://x", "http://", "http://x:99999", "http://x/api", "http://me:secret@x", "http://["]
)
def test_another_base_url_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Service.from_url(url, None)
    assert caught.value.next_step
    assert "secret" not in str(caught.value)
