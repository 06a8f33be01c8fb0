from __future__ import annotations

import pytest

from chutes_wrappers.cli import outage_tolerance
from chutes_wrappers.cli.outage_tolerance import LONGEST_OUTAGE_S, Patience
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.platform_api.api_client import PlatformRefused, PlatformUnreachable


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


def refused(status: int) -> PlatformRefused:
    return PlatformRefused("no", status=status, where="", evidence="", next_step="")


def failing(failure: WrapperError) -> int:
    raise failure


@pytest.mark.parametrize("failure", [PlatformUnreachable("no"), refused(429), refused(500), refused(502)])
def test_an_outage_is_forgiven_for_a_minute_from_its_own_beginning(clock: Clock, failure: WrapperError) -> None:
    forgiving = Patience()
    assert forgiving.look(lambda: 1) == 1
    clock.now += 10 * LONGEST_OUTAGE_S  # a stream was read, or somebody looks seldom
    assert forgiving.look(lambda: failing(failure)) is None
    clock.now += LONGEST_OUTAGE_S
    assert (forgiving.look(lambda: failing(failure)), forgiving.silence_s) == (None, LONGEST_OUTAGE_S)
    clock.now += 1
    with pytest.raises(WrapperError) as caught:
        forgiving.look(lambda: failing(failure))
    assert caught.value is failure


def test_an_answer_ends_an_outage(clock: Clock) -> None:
    forgiving = Patience()
    assert forgiving.look(lambda: failing(refused(503))) is None
    clock.now += LONGEST_OUTAGE_S
    assert forgiving.look(lambda: 2) == 2
    assert forgiving.silence_s == 0
    clock.now += LONGEST_OUTAGE_S
    assert forgiving.look(lambda: failing(refused(503))) is None


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_will_not_be_over_soon_is_raised_at_once(status: int) -> None:
    with pytest.raises(PlatformRefused):
        Patience().look(lambda: failing(refused(status)))
