"""Every request to the platform with every fault is an error with a next step and without a secret."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.account.credentials import KeyCredentials
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from tests.upstreams.platform_faults import FAULTS, Fault, FaultyPlatform, serve_faulty_platform
from tests.upstreams.scripted import Reply, serve_script

KEY = "cpk_secret.of.this.test"
CALLS: dict[str, Callable[[PlatformApi], object]] = {
    "get": lambda api: api.get("/x", "asking", purpose="x"),
    "items": lambda api: list(api.list_items("/x", "asking", purpose="x")),
    "post": lambda api: api.post("/x", "asking", {"value": 1}),
    "delete": lambda api: api.delete("/x", "asking", purpose="x"),
    "lines": lambda api: list(api.stream_lines("/x", "asking", purpose="x")),
}


@pytest.fixture(scope="module")
def platform() -> Iterator[FaultyPlatform]:
    with serve_script({}) as nothing, serve_faulty_platform(nothing.root) as server:
        yield server


@pytest.mark.parametrize("asking", CALLS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_it_is_an_error_with_a_next_step_and_without_the_key(
    platform: FaultyPlatform, fault: Fault, asking: str
) -> None:
    with (
        platform.failing(fault),
        PlatformApi(platform.url, KeyCredentials(key=KEY), timeout_s=1) as api,
        pytest.raises(WrapperError) as caught,
    ):
        CALLS[asking](api)
    assert caught.value.next_step
    assert KEY not in str(caught.value)
    # What changes something is sent once. A read of an earlier test may arrive late.
    changes = [request for request in platform.received if request.method != "GET"]
    assert len(changes) == (1 if asking in ("post", "delete") else 0)


@pytest.mark.parametrize(("name", "count"), [("reset", 3), ("502", 3), ("500-page", 1), ("truncated", 1)])
def test_a_read_is_repeated_after_a_lost_connection_and_after_what_a_gateway_returns(name: str, count: int) -> None:
    fault = next(fault for fault in FAULTS if fault.name == name)
    with (
        serve_script({}) as nothing,
        serve_faulty_platform(nothing.root) as platform,  # its own: no request of another test arrives late
        platform.failing(fault),
        PlatformApi(platform.url, KeyCredentials(key=KEY), timeout_s=60) as api,
        pytest.raises(WrapperError),
    ):
        CALLS["get"](api)
    assert len(platform.received) == count


def test_a_stream_may_be_silent_for_longer_than_the_request_timeout() -> None:
    silence = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b"one\n"
        silence.wait(2.5)
        yield b"two\n"

    with (
        serve_script({"/x": Reply(body=pieces(), content_type="text/plain")}) as server,
        PlatformApi(server.root, KeyCredentials(key=KEY), timeout_s=2) as api,
    ):
        assert list(api.stream_lines("/x", "asking", purpose="x")) == ["one", "two"]


@pytest.mark.parametrize("headers", [{}, {"Connection": "close"}])
@pytest.mark.parametrize(("body", "lines"), [(b"", []), (b"one\ntwo", ["one", "two"])])
def test_a_complete_text_is_read_to_its_end(body: bytes, lines: list[str], headers: dict[str, str]) -> None:
    reply = Reply(body=body, content_type="text/plain", headers=headers)
    with serve_script({"/x": reply}) as server, PlatformApi(server.root, KeyCredentials(key=KEY)) as api:
        assert list(api.stream_lines("/x", "asking", purpose="x")) == lines
