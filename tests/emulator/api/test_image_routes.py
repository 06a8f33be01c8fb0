"""The API's images: accepted and rejected requests, with their statuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from chutes_wrappers.core import overruled_rules, platform_rules
from chutes_wrappers.emulator.api.context import NewAccounts, Platform
from chutes_wrappers.emulator.api.image_routes import _stream_events
from chutes_wrappers.emulator.builds import Builds
from chutes_wrappers.emulator.server import RunningPlatform
from chutes_wrappers.emulator.staleness import StaleMemory, Staleness
from chutes_wrappers.emulator.tables.user_table import DailyAction
from tests.emulator.tiny import ManualClock

from .client import Client


def test_an_image_is_accepted_and_built(user: Client) -> None:
    submitted = user.build()
    assert submitted.status_code == 202
    image = submitted.json()
    assert image["status"] in ("pending build", "building", "built and pushed")
    user.get(f"/images/{image['image_id']}/logs")
    for name in (image["image_id"], "case:v1", "tester/case:v1", "TESTER/case:v1"):
        fetched = user.get(f"/images/{name}").json()
        assert (fetched["image_id"], fetched["status"]) == (image["image_id"], "built and pushed")
    assert fetched["user"]["username"] == "tester"
    assert user.get("/images/CASE:V1").status_code == 404


def test_an_image_id_equals_the_sdks(user: Client) -> None:
    from chutes.image import Image

    assert user.build_and_wait("Case", "V1")["image_id"] == Image(username="tester", name="Case", tag="V1").uid


def test_the_log_of_a_finished_build_is_plain_text(user: Client) -> None:
    logs = user.get(f"/images/{user.build_and_wait()['image_id']}/logs")
    assert logs.headers["content-type"].startswith("text/plain")
    assert "nothing was built" in logs.text


INVALID_NAMES = [("ab", "v1"), ("a" * 66, "v1"), ("-case", "v1"), ("case", "t" * 34), ("case", "1"), ("case", "v:1")]


def test_an_invalid_name_or_tag_ends_in_a_bare_500(user: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, tag in (*INVALID_NAMES, ("case", "a/b")):
        response = user.build(name, tag)
        assert (response.status_code, response.text) == (500, "Internal Server Error"), (name, tag)
    assert user.get("/images/").json()["total"] == 0
    monkeypatch.setenv(overruled_rules.VARIABLE, "image-name,image-tag")
    for name, tag in INVALID_NAMES:
        assert user.build(name, tag).status_code == 202, (name, tag)


def test_valid_names(user: Client) -> None:
    for name, tag in (("abc", "v1"), ("A" * 65, "t" * 33), ("a.b-c_d", "1.0-x"), ("models/case", "v1")):
        assert user.build_and_wait(name, tag)["name"] == name
        assert user.get(f"/images/tester/{name}:{tag}").status_code == 200


def test_of_several_reasons_the_first_of_the_apis_order_is_returned(platform: RunningPlatform, user: Client) -> None:
    user.build_and_wait()
    for _ in range(platform_rules.MAX_BUILDS_PER_DAY):
        platform.state.users.record_action(user.account.user_id, DailyAction.BUILD)
    platform.state.users.set_balance(user.account.user_id, 1)
    assert user.build(username="other").status_code == 401
    assert user.build(sdk_version="0.3.60").status_code == 429
    platform.state.users._database.execute("DELETE FROM counters")  # the next day
    assert user.build(sdk_version="0.3.60").status_code == 400
    assert user.build(sdk_version="").status_code == 400
    assert user.build(sdk_version="0.3.61").status_code == 402
    platform.state.users.set_balance(user.account.user_id, 50)
    assert user.build(sdk_version="0.6.11rc2").status_code == 409
    assert user.build("case", "x").status_code == 500


def test_an_image_that_exists_is_replaced_when_the_user_overruled_that(
    user: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.build_and_wait()
    monkeypatch.setenv(overruled_rules.VARIABLE, "image-exists")
    user.build_and_wait(readme="second")
    assert [image["readme"] for image in user.get("/images/").json()["items"]] == ["second"]


@pytest.mark.parametrize("log_dot_s", [0, 1])
async def test_a_followed_log_goes_on_with_dots_when_staleness_is_on(
    user: Client, platform: RunningPlatform, log_dot_s: float
) -> None:
    image = platform.state.images.find_by_id(user.build_and_wait()["image_id"])
    assert image is not None
    clock = ManualClock()
    memory = StaleMemory(Staleness(log_dot_s=log_dot_s), clock)
    with Builds(platform.state, None) as builds:
        behind = Platform(
            state=platform.state, builds=builds, instances=None, new_accounts=NewAccounts(), memory=memory
        )
        events = _stream_events(behind, image, after=0)
        assert [event async for event in _take_until_done(events)][-1].endswith("DONE\n")
        following = asyncio.ensure_future(anext(events, None))
        for _ in range(3):
            await asyncio.sleep(0)
        await clock.pass_time(1)
        assert await following == (".\n" if log_dot_s else None)
        await events.aclose()


async def _take_until_done(events: AsyncGenerator[str, None]) -> AsyncIterator[str]:
    async for event in events:
        yield event
        if event.startswith("DONE"):
            return


def test_name_and_tag_are_unique_case_insensitively(user: Client) -> None:
    user.build_and_wait()
    assert user.build("CASE", "V1").status_code == 409
    assert user.build("case", "v2").status_code == 202


def test_name_and_tag_are_unique_after_a_failed_build(platform: RunningPlatform, user: Client) -> None:
    image = user.build_and_wait()
    platform.state.images.finish_build(image["image_id"], "error: it failed", None)
    assert user.build().status_code == 409
    assert user.delete("/images/case:v1").json() == {"image_id": image["image_id"], "deleted": True}
    assert user.build().status_code == 202


def test_a_build_needs_fifty_dollars(platform: RunningPlatform, user: Client) -> None:
    platform.state.users.set_balance(user.account.user_id, 49.99)
    response = user.build()
    assert (response.status_code, "$50" in response.json()["detail"]) == (402, True)
    platform.state.users.set_balance(user.account.user_id, 50)
    assert user.build().status_code == 202


def test_the_twenty_fifth_build_of_a_day_is_rejected(platform: RunningPlatform, user: Client) -> None:
    for _ in range(platform_rules.MAX_BUILDS_PER_DAY - 1):
        platform.state.users.record_action(user.account.user_id, DailyAction.BUILD)
    assert user.build(tag="v24").status_code == 202
    assert user.build(tag="v25").status_code == 429
    assert Client.register(user.url, "second").build().status_code == 202


def test_a_form_without_a_dockerfile_is_rejected_field_by_field(user: Client) -> None:
    response = user.upload("/images/", {"name": "case"}, other=("a", b"b", "text/plain"))
    assert response.status_code == 422
    assert [problem["loc"][-1] for problem in response.json()["detail"]] == [
        *("username", "tag", "readme", "dockerfile", "build_context"),
    ]


def test_an_image_in_use_is_not_deleted(user: Client) -> None:
    image = user.build_and_wait()
    assert user.deploy().status_code == 200
    assert user.delete(f"/images/{image['image_id']}").status_code == 409
    user.delete_chute("case")
    assert user.delete(f"/images/{image['image_id']}").status_code == 200
    assert user.get("/images/case:v1").status_code == 404


def test_others_see_public_images_only(user: Client) -> None:
    user.build_and_wait()
    public_image = user.build_and_wait("open", "v1", public="True")
    other = Client.register(user.url, "second")
    assert other.get("/images/tester/case:v1").status_code == 404
    assert other.get("/images/tester/open:v1").status_code == 200
    assert other.get("/images/").json()["total"] == 0
    assert [one["name"] for one in other.get("/images/", include_public="True").json()["items"]] == ["open"]
    assert other.delete(f"/images/{public_image['image_id']}").status_code == 404


def test_a_list_is_paged(user: Client) -> None:
    for tag in ("v1", "v2", "v3"):
        user.build_and_wait(tag=tag)
    first = user.get("/images/", limit=2, page=0).json()
    assert (first["total"], first["page"], first["limit"]) == (3, 0, 2)
    assert [one["tag"] for one in first["items"]] == ["v3", "v2"]
    assert [one["tag"] for one in user.get("/images/", limit=2, page=1).json()["items"]] == ["v1"]
    assert user.get("/images/", name="other").json()["items"] == []
    assert len(user.get("/images/", limit=0).json()["items"]) == 3


def test_nothing_uploaded_is_unpickled(user: Client) -> None:
    assert user.build(image="this is no pickle").status_code == 202
