"""The path of a call with several instances, refused calls, traces and the headers of its response."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator, MutableMapping
from dataclasses import replace
from typing import Any

import pytest
import requests
from starlette.responses import PlainTextResponse

from chutes_wrappers.core import overruled_rules
from chutes_wrappers.emulator.chute_call import Limits
from chutes_wrappers.emulator.deployed_chute import DeployedChute
from chutes_wrappers.emulator.invocation import Invocation
from chutes_wrappers.emulator.records import ChuteRecord
from tests.emulator.platforms import Platform, make_chute_record, run_invocation_platform
from tests.emulator.tiny import CORDS, TinyInstance, TinyLauncher

BODY_LIMIT = 1000
HEAD_CORDS = tuple(
    replace(CORDS[0], public_api_path="/any", public_api_method=method) for method in ("HEAD", "DELETE", "PUT", "PATCH")
)
STREAM_CORD = replace(CORDS[0], public_api_path="/stream", path="/stream", stream=True)


@pytest.fixture(scope="module")
def launcher() -> TinyLauncher:
    return TinyLauncher()


@pytest.fixture(scope="module")
def platform(launcher: TinyLauncher) -> Iterator[Platform]:
    with run_invocation_platform(launcher, limits=Limits(body_bytes=BODY_LIMIT)) as running:
        yield running


@pytest.fixture
def chute(platform: Platform) -> ChuteRecord:
    """A new chute with its first instance."""
    chute_id = uuid.uuid4().hex
    record = make_chute_record(
        cords=(*CORDS, *HEAD_CORDS, STREAM_CORD),
        chute_id=chute_id,
        slug=f"tester-{chute_id}",
        concurrency=2,
        max_instances=4,
        scaling_threshold=1.0,
    )
    platform.deploy(record)
    return record


def add_instances(platform: Platform, launcher: TinyLauncher, chute: ChuteRecord, count: int) -> list[TinyInstance]:
    """Start instances until the chute has ``count``, and return them."""

    async def start() -> None:
        for _ in range(count - 1):
            await platform.instances._start(chute).settled.wait()

    platform.run(start())
    return launcher.launched[-count:]


def call(platform: Platform, chute: ChuteRecord, path: str, body: object, **headers: str) -> Any:
    return platform.post(path, body, slug=chute.slug, headers=headers)


def read_events(text: str) -> list[dict[str, Any]]:
    return [json.loads(event.removeprefix("data: ")) for event in text.split("\n\n") if event]


def list_failures(platform: Platform, chute: ChuteRecord) -> list[int]:
    return [record.failures for record in platform.instances.list_records(chute.chute_id)]


def test_a_failing_call_is_tried_on_three_instances_and_each_counts_it(
    platform: Platform, launcher: TinyLauncher, chute: ChuteRecord
) -> None:
    add_instances(platform, launcher, chute, 4)
    assert call(platform, chute, "/status", {"code": 500}).status_code == 500
    assert sorted(list_failures(platform, chute)) == [0, 1, 1, 1]


def test_a_429_of_an_instance_sends_the_call_to_the_next_without_a_failure(
    platform: Platform, launcher: TinyLauncher, chute: ChuteRecord
) -> None:
    first, second = add_instances(platform, launcher, chute, 2)
    first.status = 429
    response = call(platform, chute, "/echo", {"a": 1})
    assert (response.status_code, response.json()) == (200, {"a": 1})
    second.status = 429
    assert call(platform, chute, "/echo", {"a": 1}).status_code == 429
    assert list_failures(platform, chute) == [0, 0]


def test_a_400_is_tried_on_one_instance_only(platform: Platform, launcher: TinyLauncher, chute: ChuteRecord) -> None:
    first, second = add_instances(platform, launcher, chute, 2)
    first.status = 400
    assert call(platform, chute, "/echo", {}).status_code == 400
    assert second.calls == []


def test_a_426_deletes_the_instance_and_the_next_one_gets_the_call(
    platform: Platform, launcher: TinyLauncher, chute: ChuteRecord
) -> None:
    first, _ = add_instances(platform, launcher, chute, 2)
    first.status = 426
    assert call(platform, chute, "/echo", {"a": 1}).json() == {"a": 1}
    assert "426" in platform.instances.list_records(chute.chute_id)[0].ended_because


def test_a_broken_stream_is_continued_by_another_instance_in_the_same_response(
    platform: Platform, launcher: TinyLauncher, chute: ChuteRecord
) -> None:
    first, second = add_instances(platform, launcher, chute, 2)
    first.stream, second.stream = [b"data: 1\n\n", None], [b"data: 1\n\n", b"data: 2\n\n"]
    response = call(platform, chute, "/stream", {})
    assert response.text == "data: 1\n\ndata: 1\n\ndata: 2\n\n"
    assert list_failures(platform, chute) == [1, 0]


@pytest.mark.parametrize("status", [400, 429, 500])
def test_a_broken_stream_that_no_other_instance_continues_has_no_end(
    platform: Platform, launcher: TinyLauncher, chute: ChuteRecord, status: int
) -> None:
    first, second = add_instances(platform, launcher, chute, 2)
    first.stream, second.status = [b"data: 1\n\n", None], status
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        call(platform, chute, "/stream", {})
    assert platform.wait_for_record().status == 200


def test_a_stream_looks_for_its_client_every_five_lines(
    platform: Platform, launcher: TinyLauncher, chute: ChuteRecord
) -> None:
    launcher.launched[-1].stream = [b"data: 1\n\n"] * 12

    async def leave_at_the_first_line() -> list[str]:
        has_begun, has_body = asyncio.Event(), False
        sent: list[str] = []

        async def receive() -> MutableMapping[str, Any]:
            nonlocal has_body
            if has_body:
                await has_begun.wait()
                return {"type": "http.disconnect"}
            has_body = True
            return {"type": "http.request", "body": b"{}"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message["type"])
            has_begun.set()
            await asyncio.sleep(0)  # the client's end is noticed meanwhile

        app = Invocation(
            PlainTextResponse(""),
            lookup=lambda slug: chute,
            authorize=lambda headers: True,
            instances=platform.instances,
        )
        headers = [(b"host", f"{chute.slug}.localhost".encode())]
        await app({"type": "http", "method": "POST", "path": "/stream", "headers": headers}, receive, send)
        return sent

    assert platform.run(leave_at_the_first_line()) == ["http.response.start"] + ["http.response.body"] * 5


def test_a_check_goes_on_after_failures_that_disabled_the_instance(
    platform: Platform, launcher: TinyLauncher, chute: ChuteRecord
) -> None:
    deployed = DeployedChute(chute, platform.instances, platform.run)
    for _ in range(7):
        call(platform, chute, "/status", {"code": 500})
    assert call(platform, chute, "/echo", {}).status_code == 429
    (disabled,) = deployed.make_available()
    assert (disabled.failures, "returned 500" in disabled.last_failure) == (7, True)
    assert call(platform, chute, "/echo", {}).status_code == 200
    launcher.launched[-1].exit(1, "the end")
    platform.wait_until_gone(disabled.instance_id)
    assert deployed.make_available() == []
    assert call(platform, chute, "/echo", {}).status_code == 200


def test_an_instance_is_replaced_by_one_with_more_variables_and_back(
    platform: Platform, launcher: TinyLauncher, chute: ChuteRecord
) -> None:
    deployed = DeployedChute(chute, platform.instances, platform.run)
    started_count = len(launcher.launched) - 1
    first = deployed.get_newest_instance()
    assert first.active_since is not None
    deployed.replace_instances("a second run", {"LD_PRELOAD": "guard.so"})
    second = deployed.get_newest_instance()
    assert second.instance_id != first.instance_id
    deployed.make_available()
    assert call(platform, chute, "/echo", {}).status_code == 200
    deployed.replace_instances("it has ended")
    deployed.make_available()
    added = [{**chute.environment, "LD_PRELOAD": "guard.so"}]
    launched = launcher.launched[started_count:]
    assert [each.chute.environment for each in launched] == [chute.environment, *added, chute.environment]
    assert [each.stopped for each in launched] == [True, True, False]
    assert deployed.measure_longest_start_s() >= first.active_since - first.started_at


@pytest.mark.parametrize(
    ("values", "status", "text"),
    [
        ({"is_disabled": True}, 503, "disabled"),
        ({"owner_balance": 0.0}, 402, "balance"),
        ({"owner_balance": -1.0}, 402, "balance"),
    ],
)
def test_a_disabled_chute_and_an_owner_without_balance_get_no_calls(
    platform: Platform, chute: ChuteRecord, values: dict[str, Any], status: int, text: str
) -> None:
    platform.chutes[chute.slug] = replace(chute, **values)
    response = call(platform, chute, "/echo", {})
    assert (response.status_code, text in response.json()["detail"]) == (status, True)
    assert text in platform.wait_for_record().failure


def test_a_body_above_the_limit_gets_413_and_one_of_the_limit_does_not(platform: Platform, chute: ChuteRecord) -> None:
    def post(length: int) -> Any:
        data = b'{"a":"' + b"x" * (length - 8) + b'"}'
        assert len(data) == length
        return platform.call("POST", "/echo", slug=chute.slug, data=data)

    assert post(BODY_LIMIT).status_code == 200
    response = post(BODY_LIMIT + 1)
    assert (response.status_code, response.json()["detail"]) == (
        413,
        "Request body is too large: it has 1001 bytes, and the maximum is 1000",
    )


def test_the_limit_of_a_body_can_be_overruled(
    platform: Platform, chute: ChuteRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(overruled_rules.VARIABLE, "body-size")
    assert call(platform, chute, "/echo", {"a": "x" * BODY_LIMIT}).status_code == 200


@pytest.mark.parametrize("method", ["HEAD", "DELETE"])
def test_a_head_or_delete_call_reaches_the_instance_with_an_empty_object(
    platform: Platform, launcher: TinyLauncher, chute: ChuteRecord, method: str
) -> None:
    response = platform.call(method, "/any", slug=chute.slug, data=b"not json")
    assert (response.status_code, response.content) == (200, b"" if method == "HEAD" else b"{}")
    assert launcher.launched[-1].calls[-1] == {}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_put_or_patch_call_has_a_body(platform: Platform, chute: ChuteRecord, method: str) -> None:
    assert platform.call(method, "/any", slug=chute.slug, json={"a": 1}).json() == {"a": 1}


@pytest.mark.parametrize(("method", "failures"), [("PUT", 3), ("DELETE", 3), ("PATCH", 1), ("HEAD", 1)])
def test_the_ingress_repeats_a_failing_put_or_delete(
    platform: Platform, launcher: TinyLauncher, chute: ChuteRecord, method: str, failures: int
) -> None:
    launcher.launched[-1].status = 500
    assert platform.call(method, "/any", slug=chute.slug, json={}).status_code == 500
    assert list_failures(platform, chute) == [failures]


@pytest.mark.parametrize("path", ["/echo", "/unknown"])
def test_every_response_has_an_invocation_id(platform: Platform, chute: ChuteRecord, path: str) -> None:
    response = call(platform, chute, path, {})
    assert str(uuid.UUID(response.headers["X-Chutes-InvocationID"])) == platform.wait_for_record().invocation_id
    refused = platform.post(path, slug=chute.slug, headers={"Authorization": ""})
    assert (refused.status_code, "X-Chutes-InvocationID" in refused.headers) == (401, True)


def test_a_trace_names_the_instance_and_the_status_but_has_no_body(platform: Platform, chute: ChuteRecord) -> None:
    response = call(platform, chute, "/echo", {"secret": "body"}, **{"X-Chutes-Trace": "true"})
    assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream")
    assert "body" not in response.text
    events = [event["trace"] for event in read_events(response.text)]
    assert [(event["message"], event.get("status")) for event in events] == [
        ("attempting to query the instance", None),
        ("the instance responded", 200),
        ("the call ended", 200),
    ]
    record = platform.wait_for_record()
    assert (events[0]["target"], events[0]["invocation_id"]) == (record.instance_id, record.invocation_id)
    assert record.status == 200


def test_a_trace_of_a_failed_call_ends_with_the_platforms_error(
    platform: Platform, launcher: TinyLauncher, chute: ChuteRecord
) -> None:
    response = call(platform, chute, "/status", {"code": 404}, **{"X-Chutes-Trace": "true"})
    *_, failed, ended, error = read_events(response.text)
    assert failed["trace"]["status"] == 404
    assert "returned 404" in failed["trace"]["message"]
    assert ended["trace"]["status"] == 500
    assert error == {"error": "No infrastructure available to serve request"}
    assert platform.wait_for_record().status == 500


def test_a_trace_of_a_stream_has_no_chunks(platform: Platform, launcher: TinyLauncher, chute: ChuteRecord) -> None:
    launcher.launched[-1].stream = [b"data: 1\n\n"]
    events = read_events(call(platform, chute, "/stream", {}, **{"X-Chutes-Trace": "true"}).text)
    assert [event["trace"].get("status") for event in events] == [None, 200, 200]


def test_a_call_that_gets_no_instance_has_no_trace(platform: Platform, chute: ChuteRecord) -> None:
    platform.run(platform.instances.remove(chute.chute_id))
    response = call(platform, chute, "/echo", {}, **{"X-Chutes-Trace": "true"})
    assert (response.status_code, response.json()["detail"]) == (
        503,
        f"No instances available (yet) for chute_id={chute.chute_id}",
    )
