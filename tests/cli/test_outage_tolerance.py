from __future__ import annotations

import pytest

from chutes_wrappers.cli import outage_tolerance
from chutes_wrappers.cli.outage_tolerance import LONGEST_OUTAGE_S, OutageTolerance
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.platform_api.api_client import PlatformRequestFailed, PlatformUnreachable


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(outage_tolerance, "time", made)
    return made


def make_failure(status: int) -> PlatformRequestFailed:
    return PlatformRequestFailed("no", status=status, where="", evidence="", next_step="")


def raise_failure(failure: WrapperError) -> int:
    raise failure


@pytest.mark.parametrize(
    "failure", [PlatformUnreachable("no"), make_failure(429), make_failure(500), make_failure(502)]
)
def test_an_outage_is_tolerated_for_a_minute_from_its_first_failure(clock: Clock, failure: WrapperError) -> None:
    forgiving = OutageTolerance()
    assert forgiving.call(lambda: 1) == 1
    clock.now += 10 * LONGEST_OUTAGE_S  # a stream was read, or somebody looks seldom
    assert forgiving.call(lambda: raise_failure(failure)) is None
    clock.now += LONGEST_OUTAGE_S
    assert (forgiving.call(lambda: raise_failure(failure)), forgiving.outage_s) == (None, LONGEST_OUTAGE_S)
    clock.now += 1
    with pytest.raises(WrapperError) as caught:
        forgiving.call(lambda: raise_failure(failure))
    assert caught.value is failure


def test_a_success_ends_an_outage(clock: Clock) -> None:
    forgiving = OutageTolerance()
    assert forgiving.call(lambda: raise_failure(make_failure(503))) is None
    clock.now += LONGEST_OUTAGE_S
    assert forgiving.call(lambda: 2) == 2
    assert forgiving.outage_s == 0
    clock.now += LONGEST_OUTAGE_S
    assert forgiving.call(lambda: raise_failure(make_failure(503))) is None


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_permanent_failure_is_raised_immediately(status: int) -> None:
    with pytest.raises(PlatformRequestFailed):
        OutageTolerance().call(lambda: raise_failure(make_failure(status)))
