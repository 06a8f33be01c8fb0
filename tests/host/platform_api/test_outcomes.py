"""What came of a deletion: the object by its id, and the list, since an API remembers both for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.host.platform_api import outcomes
from chutes_wrappers.host.platform_api.api_client import (
    PlatformApi,
    PlatformRequestFailed,
    PlatformUnreachable,
    UnexpectedResponse,
)
from chutes_wrappers.host.platform_api.outcomes import delete_object, may_have_succeeded
from chutes_wrappers.host.platform_api.ownership import CHUTE

RECORD = {"chute_id": "id-1", "name": "case"}
UNREACHABLE = PlatformUnreachable("no response")


def make_failure(status: int) -> PlatformRequestFailed:
    return PlatformRequestFailed("deleting", status=status, where="", evidence="", next_step="")


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "PAUSES_S", (0.0, 0.0, 0.0))


class FakeApi:
    """An API with one response to the deletion, and one after the other to the questions; the last one is repeated."""

    def __init__(self, deleted: WrapperError | None, *found: object, is_listed: bool = False) -> None:
        self.username = "tester"
        self.questions = 0
        self._deleted, self._found, self._is_listed = deleted, found, is_listed

    def delete(self, path: str, what: str, *, purpose: str) -> dict[str, Any]:
        assert path == "/chutes/id-1"
        if self._deleted is not None:
            raise self._deleted
        return {"deleted": True}

    def find(self, path: str, what: str, *, purpose: str) -> object:
        self.questions += 1
        found = self._found[min(self.questions, len(self._found)) - 1]
        if isinstance(found, WrapperError):
            raise found
        return found

    def list_pages(
        self, path: str, what: str, *, purpose: str, params: Mapping[str, Any]
    ) -> Iterator[dict[str, list[Any]]]:
        assert params == {"include_public": "false", "name": "case"}
        yield {"items": [RECORD] if self._is_listed else []}


def delete(api: FakeApi) -> None:
    delete_object(cast(PlatformApi, api), CHUTE, "id-1", "case")


@pytest.mark.parametrize(
    "api",
    [
        FakeApi(None, None),
        FakeApi(None, None, is_listed=True),  # the list of an API of 2025 is a minute old
        FakeApi(None, UNREACHABLE, None),
        FakeApi(UNREACHABLE, None),
        FakeApi(make_failure(504), RECORD, RECORD, None),  # the platform was still at work
        FakeApi(make_failure(404), None),
        FakeApi(UnexpectedResponse("a page"), None),
    ],
)
def test_an_object_that_is_gone_was_deleted(api: FakeApi) -> None:
    delete(api)


@pytest.mark.parametrize(
    ("api", "reason"),
    [
        (FakeApi(None, RECORD), "still exists, although the platform reported its deletion"),
        (FakeApi(None, UNREACHABLE), "whether it still exists is unknown"),
        (FakeApi(make_failure(500), RECORD), "deleting, and the chute case still exists"),
        (FakeApi(make_failure(404), RECORD), "deleting, and the chute case still exists"),
        (FakeApi(UNREACHABLE, UNREACHABLE), "Whether the chute case was deleted is unknown"),
        # A 404 of a look-up is remembered for 30 s, and the list still has it.
        (FakeApi(UNREACHABLE, None, is_listed=True), "Whether the chute case was deleted is unknown"),
    ],
)
def test_anything_else_is_an_error_that_says_what_is_known(api: FakeApi, reason: str) -> None:
    with pytest.raises(WrapperError, match=reason) as caught:
        delete(api)
    assert caught.value.next_step
    assert api.questions == len(outcomes.PAUSES_S)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 409, 422, 429])
def test_a_refusal_is_not_asked_about(status: int) -> None:
    api = FakeApi(make_failure(status), None)
    with pytest.raises(PlatformRequestFailed):
        delete(api)
    assert api.questions == 0
    assert not may_have_succeeded(make_failure(status))


def test_a_command_that_was_not_sent_did_not_succeed() -> None:
    assert not may_have_succeeded(ConfigurationError("no account"))
