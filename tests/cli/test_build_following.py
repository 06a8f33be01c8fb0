"""A build that is followed through outages, and whose failure shows its own log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from chutes_wrappers.cli import build_following, output
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.account.credentials import NoCredentials
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed, PlatformUnreachable
from chutes_wrappers.host.platform_api.objects import parse_image

BUILDING, BUILT, FAILED = "building", "built and pushed", "error: exit code 1"
ID = "00000000-0000-5000-8000-000000000001"
IMAGE = parse_image({"image_id": ID, "name": "ocr", "tag": "v1", "status": BUILDING})
GONE = PlatformUnreachable("requesting: no response from the platform")


def fail(status: int) -> PlatformRequestFailed:
    return PlatformRequestFailed("requesting", status=status, where="", evidence="", next_step="wait")


class FakePlatform(PlatformApi):
    """Returns one of ``states`` for each request of the image, the last for ever, and one of ``logs`` for each of its log."""

    def __init__(self, states: Sequence[object], logs: Sequence[object] = ()) -> None:
        super().__init__("http://127.0.0.1:9", NoCredentials())
        self.states, self.logs = [*states], [*logs]
        self.slept_s = 0.0

    def find(self, path: str, what: str, *, purpose: str) -> dict[str, Any] | None:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, Exception):
            raise state
        return {"image_id": ID, "name": "ocr", "tag": "v1", "status": state} if state else None

    def stream_lines(self, path: str, what: str, **options: Any) -> Iterator[str]:
        log = self.logs.pop(0) if self.logs else fail(404)
        if isinstance(log, Exception):
            raise log
        assert isinstance(log, list)
        yield from log

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds

    def monotonic(self) -> float:
        return self.slept_s


def follow(monkeypatch: pytest.MonkeyPatch, api: FakePlatform) -> str:
    monkeypatch.setattr(time, "sleep", api.sleep)
    monkeypatch.setattr(time, "monotonic", api.monotonic)
    with output.Progress("Building") as progress:
        progress.add_line("Found 80 files to include in build context")
        return build_following.follow_build(api, IMAGE, progress, "--build again").status


@pytest.mark.parametrize("fault", [GONE, fail(502), fail(503), fail(504), fail(429)], ids=str)
def test_an_outage_of_some_seconds_ends_nothing(monkeypatch: pytest.MonkeyPatch, fault: WrapperError) -> None:
    api = FakePlatform([BUILDING, fault, fault, fault, BUILDING, BUILT], [GONE, ['data: {"log": "a", "offset": 1}']])
    assert follow(monkeypatch, api) == BUILT
    assert 5 < api.slept_s < 60


def test_a_log_that_never_comes_does_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    assert follow(monkeypatch, FakePlatform([BUILDING] * 20 + [BUILT], [fail(502), GONE] * 10)) == BUILT


@pytest.mark.parametrize("fault", [GONE, fail(502), fail(500), fail(401)], ids=str)
def test_a_long_outage_and_a_fault_of_the_api_are_reported(
    monkeypatch: pytest.MonkeyPatch, fault: WrapperError
) -> None:
    api = FakePlatform([BUILDING, fault])
    with pytest.raises(WrapperError) as raised:
        follow(monkeypatch, api)
    assert raised.value is fault
    assert (api.slept_s > 60) == (fault is GONE or "502" in str(vars(fault)))


def test_a_deleted_image_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WrapperError, match="no longer exists") as raised:
        follow(monkeypatch, FakePlatform([BUILDING, None]))
    assert raised.value.next_step == "build it again with --build again"


@pytest.mark.parametrize(
    ("states", "logs"),
    [
        ([FAILED], [["STEP 1: FROM a", "no such package"]]),
        ([FAILED], [['data: {"log": "no such package", "offset": 1}', ".", "."]]),
        ([BUILDING, FAILED], [['data: {"log": "no such package", "offset": 1}', "DONE"], fail(404)]),
        ([BUILDING, FAILED], [["data: {"], ["no such package"]]),
        ([FAILED], [fail(502), GONE, ["no such package"]]),
    ],
)
def test_a_failed_build_shows_its_own_log(
    monkeypatch: pytest.MonkeyPatch, states: list[object], logs: list[object]
) -> None:
    with pytest.raises(WrapperError, match="the build of ocr:v1 failed: error: exit code 1") as raised:
        follow(monkeypatch, FakePlatform(states, logs))
    assert (raised.value.evidence or "").endswith("no such package")
    assert "Found 80 files" not in (raised.value.evidence or "")
    assert "--delete-image ocr:v1" in (raised.value.next_step or "")


def test_a_failed_build_without_a_log_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakePlatform([FAILED], [fail(500)] * 9)
    with pytest.raises(WrapperError, match="failed") as raised:
        follow(monkeypatch, api)
    assert raised.value.evidence == "the platform has no log of it"
    assert api.slept_s < 30


def test_values_of_variables_and_escape_sequences_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakePlatform([FAILED], [["STEP 3/4: ENV \x1b[31mTOKEN=hf_secret", "\x1b[2Jfailed"]])
    with pytest.raises(WrapperError) as raised:
        follow(monkeypatch, api)
    assert "hf_secret" not in (raised.value.evidence or "")
    assert "\x1b" not in (raised.value.evidence or "")


def test_the_upload_is_looked_up_after_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakePlatform([BUILDING])
    answers: list[object] = [GONE, fail(502), IMAGE]

    def find_own_image(*_: object) -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(time, "sleep", api.sleep)
    monkeypatch.setattr(build_following, "find_own_image", find_own_image)
    with output.Progress("Building") as progress:
        assert build_following.find_uploaded_image(api, "ocr:v1", progress) is IMAGE
