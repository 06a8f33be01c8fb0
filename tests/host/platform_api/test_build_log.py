"""The forms that the log of a build has on the wire: events, texts, dots, and connections that break off."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from chutes_wrappers.host.account.credentials import NoCredentials
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformUnreachable
from chutes_wrappers.host.platform_api.build_log import BuildLog, drop_known_lines
from chutes_wrappers.host.platform_api.objects import parse_image

IMAGE = parse_image({"image_id": "1", "name": "ocr", "tag": "v1", "status": "building"})
BROKEN = "<broken>"


class FakeLog(PlatformApi):
    """A platform with one list of lines for each connection; each line takes ``line_s`` on its clock."""

    def __init__(self, *connections: Sequence[str], line_s: float = 0.0) -> None:
        super().__init__("http://127.0.0.1:9", NoCredentials())
        self.connections = [*connections]
        self.line_s = line_s
        self.now = 0.0
        self.offsets: list[Any] = []
        self.read_count = 0

    def monotonic(self) -> float:
        return self.now

    def stream_lines(self, path: str, what: str, **options: Any) -> Iterator[str]:
        assert path == "/images/1/logs"
        self.offsets.append(options["params"].get("offset"))
        for line in self.connections.pop(0):
            if line == BROKEN:
                raise PlatformUnreachable("reading")
            self.now += self.line_s
            self.read_count += 1
            yield line


def read(log: BuildLog, *, has_ended: bool = False) -> list[str]:
    return list(log.iter_new_lines(has_ended=has_ended))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['data: {"log": "Step 1/2", "offset": "7"}', ".", "DONE", ".", "."], ["Step 1/2"]),
        (['data: {"log": "a", "offset": 1}', "data: DONE", "data: ."], ["a"]),
        (['data: {"log": "a", "offset": 1}', 'data: "DONE"', "data: never"], ["a"]),
        (['data: {"log": "a", "offset": 1}', 'data: {"log": "DONE", "offset": 2}', "data: never"], ["a"]),
        (['data: {"log": {"log_type": "stderr", "log": "oops\\n"}, "offset": 1}', "DONE"], ["oops"]),
        (['data:{"log": "no blank", "offset": 1}', "DONE"], ["no blank"]),
        (['data: {"log": "one\\ntwo", "offset": 1}', "DONE"], ["one", "two"]),
        (["event: log", "id: 4", ": ping", "data: a text", "DONE"], ["a text"]),
        (['data: {"log": "cut o', "data: [1]", 'data: {"offset": 3}', "DONE"], []),
        (["STEP 1: FROM a", "id: a line of a text", "DONE", "built and pushed"],
         ["STEP 1: FROM a", "id: a line of a text", "DONE", "built and pushed"]),
        (["DONE", "."], []),
        ([".", ".", "built and pushed"], ["built and pushed"]),
    ],
)  # fmt: skip
def test_every_form_of_a_log(lines: list[str], expected: list[str]) -> None:
    assert read(BuildLog(FakeLog(lines), IMAGE)) == expected


def test_nothing_is_read_after_the_end() -> None:
    api = FakeLog(['data: {"log": "a", "offset": 1}', "DONE", ".", ".", "."])
    read(BuildLog(api, IMAGE))
    assert api.read_count == 2


def test_dots_alone_end_so_that_the_status_is_requested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakeLog(["."] * 1000, ["."] * 1000, line_s=1.0)
    monkeypatch.setattr(time, "monotonic", api.monotonic)
    log = BuildLog(api, IMAGE)
    assert read(log) == []
    after_quiet = api.read_count
    assert read(log, has_ended=True) == []
    assert (after_quiet, api.read_count - after_quiet) == (21, 4)


def test_a_connection_that_breaks_off_is_continued_at_its_offset() -> None:
    api = FakeLog(
        ['data: {"log": "a", "offset": "5-1"}', BROKEN], ['data: {"log": "b", "offset": "5-2"}', "DONE"], ["built"]
    )
    log = BuildLog(api, IMAGE)
    with pytest.raises(PlatformUnreachable):
        read(log)
    assert log.line_count == 1
    assert (read(log), api.offsets, log.line_count) == (["b"], [None, "5-1"], 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (["a", "b", "c", "failed"], ["c", "failed"]),
        (["a", "b"], []),
        (["other", "failed"], ["other", "failed"]),
    ],
)
def test_the_whole_log_after_events_adds_only_its_end(text: list[str], expected: list[str]) -> None:
    events = ['data: {"log": "a", "offset": 1}', 'data: {"log": "b", "offset": 2}']
    log = BuildLog(FakeLog(events, text), IMAGE)
    assert read(log) == ["a", "b"]
    assert read(log, has_ended=True) == expected


def test_a_text_that_is_read_again_is_not_repeated() -> None:
    log = BuildLog(FakeLog(["a", "b", BROKEN], ["a", "b", "c"], ["a", "b", "c"]), IMAGE)
    with pytest.raises(PlatformUnreachable):
        read(log)
    assert (read(log), read(log)) == (["c"], [])


def test_known_lines_are_found_at_their_last_place() -> None:
    assert drop_known_lines(["x", "a", "x", "b"], ["x"]) == ["b"]
    assert drop_known_lines(["a"], ["a", "b"]) == ["a"]
