from __future__ import annotations

import concurrent.futures
import threading

import pytest

from chutes_wrappers.runtime.running_call import RunningCall


def test_the_result_of_the_work_is_the_result_of_the_call() -> None:
    work: concurrent.futures.Future[int] = concurrent.futures.Future()
    work.set_result(7)
    assert RunningCall().wait_for_result(work) == 7


def test_a_disconnect_cancels_the_work() -> None:
    call, work, ended = RunningCall(), concurrent.futures.Future[int](), threading.Event()

    def wait() -> None:
        with pytest.raises(concurrent.futures.CancelledError):
            call.wait_for_result(work)
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    while not ended.wait(0.01):
        call.abandon()
    thread.join()
    assert work.cancelled()


def test_work_that_starts_after_a_disconnect_is_cancelled_immediately() -> None:
    call, work = RunningCall(), concurrent.futures.Future[int]()
    call.abandon()
    with pytest.raises(concurrent.futures.CancelledError):
        call.wait_for_result(work)


def test_a_disconnect_before_or_after_the_work_is_harmless() -> None:
    call, work = RunningCall(), concurrent.futures.Future[int]()
    work.set_result(1)
    assert call.wait_for_result(work) == 1
    call.abandon()
    assert work.result() == 1
