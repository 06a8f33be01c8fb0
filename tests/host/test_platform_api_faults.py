"""Everything that can be asked of the platform, and every way in which it fails: an error that says what to do, no secret in it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.account.credentials import KeyCredentials
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from tests.upstreams.platform_faults import FAULTS, Fault, FaultyPlatform, faulty
from tests.upstreams.scripted import Reply, serving

KEY = "cpk_secret.of.this.test"
ASKING: dict[str, Callable[[PlatformApi], object]] = {
    "get": lambda api: api.get("/x", "asking", purpose="x"),
    "items": lambda api: list(api.items("/x", "asking", purpose="x")),
    "post": lambda api: api.post("/x", "asking", {"value": 1}),
    "delete": lambda api: api.delete("/x", "asking", purpose="x"),
    "lines": lambda api: list(api.lines("/x", "asking", purpose="x")),
}


@pytest.fixture(scope="module")
def platform() -> Iterator[FaultyPlatform]:
    with serving({}) as nothing, faulty(nothing.root) as server:
        yield server


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_it_is_an_error_with_a_next_step_and_without_the_key(
    platform: FaultyPlatform, fault: Fault, asking: str
) -> None:
    with (
        platform.failing(fault),
        PlatformApi(platform.url, KeyCredentials(key=KEY), timeout_s=0.3) as api,
        pytest.raises(WrapperError) as caught,
    ):
        ASKING[asking](api)
    assert caught.value.next_step
    assert KEY not in str(caught.value)
    assert len(platform.asked) == 1 or asking in ("get", "items", "lines")  # what changes something is sent once


def test_a_stream_may_be_silent_for_longer_than_an_answer_may_take() -> None:
    silence = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b"one\n"
        silence.wait(2.5)
        yield b"two\n"

    with (
        serving({"/x": Reply(body=pieces(), content_type="text/plain")}) as server,
        PlatformApi(server.root, KeyCredentials(key=KEY), timeout_s=2) as api,
    ):
        assert list(api.lines("/x", "asking", purpose="x")) == ["one", "two"]


@pytest.mark.parametrize("headers", [{}, {"Connection": "close"}])
@pytest.mark.parametrize(("body", "lines"), [(b"", []), (b"one\ntwo", ["one", "two"])])
def test_a_text_that_is_there_already_is_read_to_its_end(
    body: bytes, lines: list[str], headers: dict[str, str]
) -> None:
    reply = Reply(body=body, content_type="text/plain", headers=headers)
    with serving({"/x": reply}) as server, PlatformApi(server.root, KeyCredentials(key=KEY)) as api:
        assert list(api.lines("/x", "asking", purpose="x")) == lines
