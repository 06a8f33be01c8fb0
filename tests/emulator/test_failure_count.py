"""PLATFORM.md, section 3, sentence 7: when failed calls disable an instance, and for how long."""

from __future__ import annotations

from chutes_wrappers.emulator.failure_count import FailureCount


def fail(count: FailureCount, times: int, now: float = 0.0) -> list[float]:
    return [count.record_failure(now) for _ in range(times)]


def test_the_seventh_failure_disables_for_90_s_and_each_further_one_for_90_s_more() -> None:
    count = FailureCount()
    assert fail(count, 12) == [0] * 6 + [90, 180, 270, 360, 450, 540]
    assert count.failures == 12


def test_the_sixth_time_within_an_hour_exhausts_it() -> None:
    count = FailureCount()
    fail(count, 11)
    assert not count.is_exhausted
    fail(count, 1)
    assert count.is_exhausted


def test_times_of_more_than_an_hour_ago_do_not_count() -> None:
    count = FailureCount()
    fail(count, 11, now=0)
    assert fail(count, 1, now=3600) == [90]
    assert not count.is_exhausted


def test_it_is_disabled_until_the_longest_time_has_passed() -> None:
    count = FailureCount()
    fail(count, 8, now=10)
    assert count.remaining_s(10) == 180
    assert count.remaining_s(189) == 1
    assert count.remaining_s(190) == 0


def test_a_success_resets_the_failures_and_the_times() -> None:
    count = FailureCount()
    fail(count, 11)
    count.record_success()
    assert (count.failures, count.remaining_s(0)) == (0, 0)
    assert fail(count, 7) == [0] * 6 + [90]


def test_enabling_keeps_the_failures() -> None:
    count = FailureCount()
    fail(count, 7)
    count.enable()
    assert (count.failures, count.remaining_s(0)) == (7, 0)
    assert fail(count, 1) == [90]
