"""PLATFORM.md, section 3, sentence 7: what an instance's status means for the client and for the instance."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chutes_wrappers.emulator.records import InstanceState
from tests.emulator.platforms import HEAD, Platform, is_active, make_chute, run_invocation_platform
from tests.emulator.tiny import ManualClock
from tests.upstreams.http_fixture import HttpFixture, serve_http_fixture

CLOCK = ManualClock()
MODULE = """
import os, signal


@chute.cord(public_api_path="/fine")
def fine(self):
    return "fine"


@chute.cord(public_api_path="/status")
def status(self, order):
    raise HTTPException(status_code=order["code"], detail="as ordered")


@chute.cord(public_api_path="/broken")
def broken(self):
    raise RuntimeError("a bug")


@chute.cord(public_api_path="/failing_get", public_api_method="GET")
def failing_get(self):
    raise RuntimeError("a bug")


@chute.cord(public_api_path="/killed")
def killed(self):
    os.kill(os.getpid(), signal.SIGKILL)


@chute.cord(public_api_path="/nobody", passthrough=True, passthrough_port=1, passthrough_path="/x")
async def nobody(self, *args):
    ...


@chute.cord(public_api_path="/upstream", passthrough=True, passthrough_port={port}, passthrough_path="/status/404")
async def upstream(self, *args):
    ...
"""


@pytest.fixture(scope="module")
def service() -> Iterator[HttpFixture]:
    with serve_http_fixture() as running:
        yield running


@pytest.fixture(scope="module")
def chute(service: HttpFixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    code = HEAD.format(concurrency=16) + MODULE.format(port=service.port)
    with run_invocation_platform(clock=CLOCK) as running:
        record = running.deploy(
            make_chute(tmp_path_factory.mktemp("module"), code, concurrency=16, shutdown_after_s=1e6)
        )
        assert is_active(record), record
        yield running


@pytest.fixture(autouse=True)
def _reset_failures(chute: Platform) -> Iterator[None]:
    yield
    # The test may have ended or disabled the instance.
    chute.make_available()
    assert chute.post("/fine").json() == "fine"
    assert chute.get_newest().failures == 0


def test_400_stays_400_with_the_text_and_is_no_failure(chute: Platform) -> None:
    response = chute.post("/status", {"code": 400})
    assert response.status_code == 400
    assert response.json()["detail"] == 'Invalid request: {"detail":"as ordered"}'
    assert chute.get_newest().failures == 0


def test_429_stays_429_and_is_no_failure(chute: Platform) -> None:
    assert chute.post("/status", {"code": 429}).status_code == 429
    assert chute.get_newest().failures == 0


@pytest.mark.parametrize("code", [204, 301, 302, 304, 401, 403, 404, 409, 418, 422, 499, 500, 502, 503])
def test_every_other_status_is_500_and_a_failure(chute: Platform, code: int) -> None:
    response = chute.post("/status", {"code": code})
    assert (response.status_code, response.json()) == (500, {"detail": "No infrastructure available to serve request"})
    assert chute.get_newest().failures == 1
    assert f"returned {code}" in chute.get_newest().last_failure
    assert chute.wait_for_record().instance_status == code


@pytest.mark.parametrize("path", ["/broken", "/nobody", "/upstream"])
def test_an_exception_and_an_upstreams_error_are_500_and_a_failure(chute: Platform, path: str) -> None:
    assert chute.post(path).status_code == 500
    assert chute.get_newest().failures == 1


def test_a_success_resets_the_failure_count_and_a_400_does_not(chute: Platform) -> None:
    for _ in range(3):
        chute.post("/broken")
    chute.post("/status", {"code": 400})
    assert chute.get_newest().failures == 3
    chute.post("/fine")
    assert chute.get_newest().failures == 0


def test_after_seven_failures_in_a_row_the_instance_is_disabled_for_90_s(chute: Platform) -> None:
    for count in range(1, 8):
        assert chute.post("/broken").status_code == 500
        assert chute.get_newest().failures == count
    response = chute.post("/fine")
    assert (response.status_code, response.json()) == (
        429,
        {"detail": "Infrastructure is at maximum capacity, try again later"},
    )
    assert "disabled, for 90 s more, after 7 failures in a row" in chute.wait_for_record().failure
    assert is_active(chute.get_newest())
    chute.run(CLOCK.pass_time(90))
    assert chute.post("/broken").status_code == 500  # the eighth: disabled for 180 s
    chute.run(CLOCK.pass_time(179))
    assert chute.post("/fine").status_code == 429
    chute.run(CLOCK.pass_time(1))
    assert chute.post("/fine").json() == "fine"
    assert chute.get_newest().failures == 0


def test_the_sixth_time_that_it_is_disabled_within_an_hour_deletes_it(chute: Platform) -> None:
    instance = chute.get_newest()
    for _ in range(12):
        chute.post("/broken")
        chute.run(CLOCK.pass_time(600))
    ended = chute.wait_until_gone(instance.instance_id)
    assert ended.state is InstanceState.GONE
    assert ended.ended_because.startswith("deleted: 12 calls in a row failed, which disabled it 6 times within an hour")


def test_a_failing_get_counts_as_three_failures_since_the_ingress_repeats_it(chute: Platform) -> None:
    assert chute.get("/failing_get").status_code == 500
    assert chute.get_newest().failures == 3
    chute.post("/broken")
    assert chute.get_newest().failures == 4


def test_426_deletes_the_instance_immediately(chute: Platform) -> None:
    instance = chute.get_newest()
    assert chute.post("/status", {"code": 426}).status_code == 500
    assert "426" in chute.wait_until_gone(instance.instance_id).ended_because


def test_an_instance_that_dies_loses_the_call_in_flight_and_the_next_one_gets_503_and_starts_another(
    chute: Platform,
) -> None:
    instance = chute.get_newest()
    assert chute.post("/killed").status_code == 500
    assert chute.wait_for_record().failure
    ended = chute.wait_until_gone(instance.instance_id)
    assert "exit code -9" in ended.ended_because
    response = chute.post("/fine")
    assert (response.status_code, response.json()) == (
        503,
        {"detail": "No instances available (yet) for chute_id=chute-1"},
    )
    chute.wait_until_settled("chute-1")
    assert chute.post("/fine").json() == "fine"
    assert chute.get_newest().instance_id != instance.instance_id


def test_an_instance_that_dies_among_calls_loses_only_its_own(chute: Platform) -> None:
    instance, earlier = chute.get_newest(), len(chute.calls)
    with ThreadPoolExecutor(12) as pool:
        calls = [pool.submit(chute.post, "/fine") for _ in range(200)]
        killing = pool.submit(chute.post, "/killed")
        calls += [pool.submit(chute.post, "/fine") for _ in range(200)]
        assert killing.result(60).status_code == 500
        outcomes = [call.result(60).status_code for call in calls]
    assert set(outcomes) <= {200, 429, 500, 503}
    # Its end is detected a moment later. How many calls it gets until then depends on the machine.
    instances: dict[int, set[str | None]] = {200: set(), 429: set(), 500: set(), 503: set()}
    for call in chute.calls[earlier:]:
        instances[call.status].add(call.instance_id)
    assert instances[500] == {instance.instance_id}
    assert instances[200] <= {instance.instance_id, chute.get_newest().instance_id}
    assert instances[429] | instances[503] <= {None}
    # The reason is the end of the process, however many calls failed because of it.
    assert "exit code -9" in chute.wait_until_gone(instance.instance_id).ended_because


def test_a_chute_that_cannot_start_is_503_and_its_record_has_its_last_lines(tmp_path: Path) -> None:
    code = HEAD.format(concurrency=1) + (
        "@chute.on_startup()\nasync def boot(self):\n    print('looking for the model')\n    raise RuntimeError('no model')\n"
        '@chute.cord(public_api_path="/fine")\ndef fine(self):\n    return "fine"\n'
    )
    with run_invocation_platform() as running:
        record = running.deploy(make_chute(tmp_path, code))
        assert record.state is InstanceState.GONE
        assert "it did not start: exit code 1" in record.ended_because
        assert "looking for the model" in record.ended_because
        assert "RuntimeError: no model" in record.ended_because
        response = running.post("/fine")
        assert (response.status_code, response.json()["detail"][:22]) == (503, "No instances available")
        assert "no model" in running.wait_for_record().failure
