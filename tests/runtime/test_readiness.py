from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from chutes_wrappers.core.errors import ServiceFailed
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.runtime.readiness import ReadinessProbe, build_probes, find_readiness_paths, wait_until_ready
from tests.scenario import find_free_port
from tests.upstreams.raw import serve_reply

from .conftest import Starter
from .test_launcher import wait_until

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler, port: int = 0) -> AsyncIterator[int]:
    """A real HTTP server on loopback; yields its port."""
    runner = web.ServerRunner(web.Server(handler))  # type: ignore[arg-type]  # any request handler does
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (("CMD-SHELL", "curl -f http://localhost:8020/health || exit 1"), {8020: "/health"}),
        (("CMD", "wget", "-q", "http://127.0.0.1:8080/ready?deep=1"), {8080: "/ready?deep=1"}),
        (("CMD", "curl", "http://0.0.0.0:9000"), {9000: "/"}),
        (("CMD-SHELL", 'curl -f "http://localhost:1/a" && curl -f http://[::1]:2/b;'), {1: "/a", 2: "/b"}),
        (("CMD-SHELL", "curl localhost:5000/up"), {5000: "/up"}),
        (("CMD-SHELL", "redis-cli -h localhost:6379 ping"), {}),
        (("CMD-SHELL", "curl -fk https://localhost:8443/health"), {}),
        (("CMD-SHELL", "curl -fsH 'X-Key: 1' http://localhost:8443/health"), {}),
        (("CMD-SHELL", "curl http://localhost:8443/$WHERE"), {}),
        (("CMD", "pg_isready"), {}),
        (("NONE",), {}),
    ],
)
def test_the_readiness_path_is_read_from_the_health_check(test: tuple[str, ...], expected: dict[int, str]) -> None:
    assert find_readiness_paths(LaunchSpec(health_check=test)) == expected


def test_what_discovery_saw_beats_the_health_check() -> None:
    spec = LaunchSpec(health_check=("CMD", "curl", "http://localhost:1/a"), readiness={1: "/seen"})
    assert find_readiness_paths(spec) == {1: "/seen"}


async def test_a_known_path_must_return_2xx() -> None:
    status = 503

    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(status=status)

    async with serving(handler) as port:
        check = ReadinessProbe(host="127.0.0.1", port=port, path="/health")
        assert await check.find_problem(2) == f"port {port}: GET /health returns 503"
        status = 204
        assert await check.find_problem(2) is None
        status = 302
        assert "302" in str(await check.find_problem(2))


async def test_without_a_path_a_connection_is_enough() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert await ReadinessProbe(host="127.0.0.1", port=port).find_problem(2) is None


async def test_a_dead_port_is_a_problem_and_never_an_exception() -> None:
    for path in (None, "/health"):
        port = find_free_port()
        problem = await ReadinessProbe(host="127.0.0.1", port=port, path=path).find_problem(2)
        assert str(port) in str(problem)


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000 + b"\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", ""),
        (b"SSH-2.0-x\r\n", ": its response cannot be read: not HTTP"),
    ],
)
async def test_a_probe_has_the_limits_of_calls(head: bytes, problem: str) -> None:
    async with serve_reply(head + b"Content-Length: 0\r\n\r\n") as port:
        found = await ReadinessProbe(host="127.0.0.1", port=port, path="/").find_problem(60)
    assert (found or "").startswith(f"port {port}{problem}" if problem else "")
    assert bool(found) == bool(problem)


async def test_a_port_that_hangs_is_a_problem_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        problem = await ReadinessProbe(host="127.0.0.1", port=port, path="/health").find_problem(0.2)
        assert "did not respond within 0.2 s" in str(problem)


async def test_waiting_ends_when_every_port_is_ready() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response()

    late = find_free_port()
    async with serving(handler) as early:
        waiting = asyncio.ensure_future(wait_until_ready(build_probes([early, late], "127.0.0.1", {}), 60))
        await asyncio.sleep(0)
        assert not waiting.done()
        async with serving(handler, late):
            await asyncio.wait_for(waiting, 60)


async def test_after_the_timeout_the_error_names_only_what_is_missing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ready, missing = server.getsockname()[1], find_free_port()
        with pytest.raises(ServiceFailed) as caught:
            await wait_until_ready(build_probes([ready, missing], "127.0.0.1", {}), 0.3)
    assert str(missing) in str(caught.value)
    assert str(ready) not in str(caught.value)


async def test_a_service_that_ends_is_reported_long_before_the_timeout(family: Starter) -> None:
    process = family("fail", "3", "60")
    process.start()
    started = time.monotonic()
    with pytest.raises(ServiceFailed, match="exit code 3") as caught:
        await wait_until_ready(build_probes([find_free_port()], "127.0.0.1", {}), 60, [process])
    assert time.monotonic() - started < 30
    assert "line 59" in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_a_service_on_another_port_is_named(family: Starter, host: str) -> None:
    process = family("listen", host, "0")
    process.start()
    wait_until(lambda: "listening on" in process.tail)
    port = process.tail.split()[-1]
    with pytest.raises(ServiceFailed) as caught:
        await wait_until_ready(build_probes([find_free_port()], "127.0.0.1", {}), 0.5, [process])
    assert f"listens on {host}:{port}" in str(caught.value)
    assert "SERVICE_PORTS" in str(caught.value)


async def test_a_service_on_another_address_is_named(family: Starter) -> None:
    port = find_free_port()
    process = family("listen", "127.0.0.2", str(port))
    process.start()
    wait_until(lambda: "listening on" in process.tail)
    with pytest.raises(
        ServiceFailed, match=rf"listens only on 127\.0\.0\.2:{port}; make it listen on 0\.0\.0\.0 or 127\.0\.0\.1"
    ):
        await wait_until_ready(build_probes([port], "127.0.0.1", {}), 0.5, [process])


async def test_a_service_without_a_listener_is_reported(family: Starter) -> None:
    process = family("daemon")
    process.start()
    with pytest.raises(ServiceFailed, match="listens on no port"):
        await wait_until_ready(build_probes([find_free_port()], "127.0.0.1", {}), 0.3, [process])


@pytest.mark.parametrize(("status", "is_ready"), [(200, True), (299, True), (300, False), (404, False)])
async def test_any_2xx_is_ready_and_nothing_else(status: int, is_ready: bool) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(status=status)

    async with serving(handler) as port:
        problem = await ReadinessProbe(host="127.0.0.1", port=port, path="/").find_problem(20)
    assert (problem is None) is is_ready


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "refuses connections"),
        (OSError(113, "No route to host"), "No route to host"),
        (ValueError("the text"), "the text"),
        (ValueError(), "ValueError"),
    ],
)
async def test_a_problem_is_named_by_its_reason(monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str) -> None:
    async def fail(check: ReadinessProbe) -> None:
        raise error

    monkeypatch.setattr(ReadinessProbe, "_connect", fail)
    assert await ReadinessProbe(host="127.0.0.1", port=1).find_problem(20) == f"port 1: {reason}"


async def test_after_the_end_nothing_is_probed_any_more(family: Starter) -> None:
    process = family("fail", "3", "1")
    process.start()
    before = asyncio.all_tasks()
    with pytest.raises(ServiceFailed):
        await asyncio.wait_for(wait_until_ready(build_probes([find_free_port()], "127.0.0.1", {}), 600, [process]), 60)
    assert asyncio.all_tasks() == before
