from __future__ import annotations

import concurrent.futures
import threading

import pytest

from chutes_wrappers.runtime.running_call import RunningCall


def test_the_result_of_the_work_is_the_result_of_the_call() -> None:
    work: concurrent.futures.Future[int] = concurrent.futures.Future()
    work.set_result(7)
    assert RunningCall().result_of(work) == 7


def test_a_caller_that_has_gone_ends_the_work_that_is_waited_for() -> None:
    call, work, ended = RunningCall(), concurrent.futures.Future[int](), threading.Event()

    def wait() -> None:
        with pytest.raises(concurrent.futures.CancelledError):
            call.result_of(work)
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    while not ended.wait(0.01):
        call.abandon()
    thread.join()
    assert work.cancelled()


def test_work_that_begins_after_the_caller_has_gone_is_cancelled_at_once() -> None:
    call, work = RunningCall(), concurrent.futures.Future[int]()
    call.abandon()
    with pytest.raises(concurrent.futures.CancelledError):
        call.result_of(work)


def test_a_caller_that_goes_before_there_is_work_or_after_it_harms_nothing() -> None:
    call, work = RunningCall(), concurrent.futures.Future[int]()
    work.set_result(1)
    assert call.result_of(work) == 1
    call.abandon()
    assert work.result() == 1
