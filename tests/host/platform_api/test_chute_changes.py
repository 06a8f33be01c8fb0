"""What came of a change of a deployed chute: by the API's record, also when the response was lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.platform_api.api_client import (
    PlatformApi,
    PlatformRequestFailed,
    PlatformUnreachable,
    UnexpectedResponse,
)
from chutes_wrappers.host.platform_api.chute_changes import ChangedChute, change_chute
from chutes_wrappers.host.platform_api.objects import parse_chute

CHUTE_ID = "11111111-2222-4333-8444-555555555555"
LOST = WrapperError("no response")


def make_failure(status: int, detail: str = "") -> PlatformRequestFailed:
    return PlatformRequestFailed(
        "changing", status=status, where="PUT", evidence=detail, next_step="as the status says"
    )


class FakeApi:
    """A server whose PUT returns ``response`` or raises it, and whose record is ``record`` afterwards, or raises it."""

    username = "tester"

    def __init__(
        self, response: Mapping[str, Any] | WrapperError, record: Mapping[str, Any] | WrapperError | None = None
    ) -> None:
        self._response, self._record = response, record
        self.sent: list[tuple[str, Mapping[str, Any]]] = []

    def put(self, path: str, what: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.sent.append((path, body))
        if isinstance(self._response, WrapperError):
            raise self._response
        return self._response

    def find(self, path: str, what: str, *, purpose: str) -> Mapping[str, Any]:
        if isinstance(self._record, WrapperError):
            raise self._record
        return {"chute_id": CHUTE_ID, "name": "ocr", "user": {"username": "tester"}, **(self._record or {})}


def change(fake: FakeApi, **record: Any) -> ChangedChute:
    chute = parse_chute({"chute_id": CHUTE_ID, "name": "ocr", "user": {"username": "tester"}, **record})
    return change_chute(cast(PlatformApi, fake), chute, {"max_instances": 2}, "changing ocr", "do it otherwise")


@pytest.mark.parametrize(
    ("response", "record", "state"),
    [
        ({}, {"max_instances": 2}, "set"),
        ({"max_instances": 2}, {}, "set"),  # only the response shows it
        ({"max_instances": 2}, {"max_instances": 1}, "ignored"),
        ({}, {"max_instances": 1}, "ignored"),
        ({}, {"max_instances": None}, "ignored"),
        ({}, {}, "not shown"),
    ],
)
def test_the_record_overrides_the_response(response: dict[str, Any], record: dict[str, Any], state: str) -> None:
    fake = FakeApi(response, record)
    changed = change(fake)
    assert (changed.find_state("max_instances", 2), changed.lost) == (state, None)
    assert fake.sent == [(f"/chutes/{CHUTE_ID}", {"max_instances": 2})]


@pytest.mark.parametrize(
    ("shown", "value", "state"),
    [
        ({"tagline": "a "}, "a", "set"),
        ({"tagline": None}, "", "set"),
        ({"tagline": "a"}, "", "ignored"),
        ({"disabled": True}, True, "set"),
        ({"disabled": 1}, True, "ignored"),
        ({"disabled": None}, False, "ignored"),
        ({"scaling_threshold": 1}, 1.0, "set"),
        ({"logo": "/logos/abc.webp"}, "abc", "set"),
        ({"logo": None}, "abc", "not shown"),
    ],
)
def test_values_are_compared_by_their_kind(shown: dict[str, Any], value: object, state: str) -> None:
    field = "logo_id" if "logo" in shown else next(iter(shown))
    assert change(FakeApi({}, shown)).find_state(field, value) == state


@pytest.mark.parametrize(
    "lost",
    [
        PlatformUnreachable("reset"),
        UnexpectedResponse("a page"),
        make_failure(500),
        make_failure(502),
        make_failure(504),
    ],
)
def test_after_a_lost_response_the_record_is_requested(lost: WrapperError) -> None:
    changed = change(FakeApi(lost, {"max_instances": 2}))
    assert (changed.find_state("max_instances", 2), changed.lost) == ("set", lost)
    with pytest.raises(WrapperError) as caught:
        change(FakeApi(lost, PlatformUnreachable("also the record")))
    assert caught.value is lost


@pytest.mark.parametrize("status", [401, 402, 403, 409, 422, 429])
def test_a_refusal_is_final(status: int) -> None:
    with pytest.raises(PlatformRequestFailed) as caught:
        change(FakeApi(make_failure(status), {"max_instances": 2}))
    assert caught.value.next_step == "as the status says"


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_without_the_route_gets_the_other_way(status: int) -> None:
    with pytest.raises(PlatformRequestFailed) as caught:
        change(FakeApi(make_failure(status), {"max_instances": 2}))
    assert caught.value.next_step == "do it otherwise: this server cannot change a deployed chute"


def test_an_unknown_logo_is_no_missing_route() -> None:
    with pytest.raises(PlatformRequestFailed) as caught:
        change(FakeApi(make_failure(404, "Logo not found")))
    assert caught.value.next_step == "as the status says"


def test_a_record_that_cannot_be_read_after_a_success_is_an_error() -> None:
    with pytest.raises(PlatformUnreachable):
        change(FakeApi({"max_instances": 2}, PlatformUnreachable("no response")))


def test_an_immutable_chute_is_refused_before_anything_is_sent() -> None:
    fake = FakeApi({})
    with pytest.raises(WrapperError, match="immutable") as caught:
        change(fake, immutable=True)
    assert (fake.sent, "rule immutable-chute" in str(caught.value.evidence)) == ([], True)
