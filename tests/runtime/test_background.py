"""The event loop that lives longer than a call."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading

import pytest

from chutes_wrappers.runtime.background import BackgroundLoop


async def place() -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
    return asyncio.get_running_loop(), threading.current_thread()


def test_all_work_runs_on_one_loop_in_a_daemon_thread() -> None:
    background = BackgroundLoop("a-name")
    loop, thread = background.submit(place()).result(20)
    assert (thread.name, thread.daemon) == ("a-name", True)
    assert thread is not threading.current_thread()
    assert asyncio.run(background.run(place())) == (loop, thread)


def test_first_uses_at_the_same_time_share_the_loop() -> None:
    background = BackgroundLoop("x")
    barrier = threading.Barrier(8)

    def first() -> object:
        barrier.wait()
        return background.submit(place()).result(20)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert len({*pool.map(lambda _: first(), range(8))}) == 1


@pytest.mark.parametrize("by_await", [False, True])
def test_a_cancelled_wait_cancels_the_work(by_await: bool) -> None:
    background = BackgroundLoop("x")
    started, ended = threading.Event(), threading.Event()

    async def work() -> None:
        try:
            started.set()
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            ended.set()
            raise

    async def give_up() -> None:
        waiting = asyncio.ensure_future(background.run(work()))
        await asyncio.to_thread(started.wait, 20)
        waiting.cancel()
        await asyncio.wait([waiting])

    if by_await:
        asyncio.run(give_up())
    else:
        future = background.submit(work())
        started.wait(20)
        future.cancel()
    assert ended.wait(20)
