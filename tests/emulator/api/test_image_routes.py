"""The API's images: accepted and rejected requests, with their statuses."""

from __future__ import annotations

import pytest

from chutes_wrappers.core import platform_rules
from chutes_wrappers.emulator.server import RunningPlatform
from chutes_wrappers.emulator.tables.user_table import DailyAction

from .client import Client


def test_an_image_is_accepted_and_built(user: Client) -> None:
    submitted = user.build()
    assert submitted.status_code == 202
    image = submitted.json()
    assert image["status"] in ("pending build", "building", "built and pushed")
    user.get(f"/images/{image['image_id']}/logs")
    for name in (image["image_id"], "case:v1", "CASE:V1", "tester/case:v1"):
        fetched = user.get(f"/images/{name}").json()
        assert (fetched["image_id"], fetched["status"]) == (image["image_id"], "built and pushed")
    assert fetched["user"]["username"] == "tester"


def test_an_image_id_equals_the_sdks(user: Client) -> None:
    from chutes.image import Image

    assert user.build_and_wait("Case", "V1")["image_id"] == Image(username="tester", name="Case", tag="V1").uid


def test_the_log_of_a_finished_build_is_plain_text(user: Client) -> None:
    user.build_and_wait()
    logs = user.get("/images/case:v1/logs")
    assert logs.headers["content-type"].startswith("text/plain")
    assert "nothing was built" in logs.text


@pytest.mark.parametrize(("name", "tag"), [("ab", "v1"), ("case", "t" * 34), ("a/b", "v1"), ("case", "v:1")])
def test_an_invalid_name_is_rejected(user: Client, name: str, tag: str) -> None:
    response = user.build(name, tag)
    assert (response.status_code, "Invalid image" in response.json()["detail"]) == (400, True)


def test_a_tag_of_one_character_returns_500(user: Client) -> None:
    response = user.build("case", "1")
    assert (response.status_code, response.text) == (500, "Internal Server Error")
    assert user.get("/images/").json()["total"] == 0


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


def test_a_long_readme_is_rejected(user: Client) -> None:
    assert user.build(readme="x" * 16_385).status_code == 400
    assert user.build(readme="x" * 16_384).status_code == 202


def test_a_form_without_a_dockerfile_is_rejected_field_by_field(user: Client) -> None:
    response = user.upload("/images/", {"name": "case"}, other=("a", b"b", "text/plain"))
    assert response.status_code == 422
    assert [problem["loc"][-1] for problem in response.json()["detail"]] == ["tag", "dockerfile", "build_context"]


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
    assert user.get("/images/", limit=0).status_code == 422


def test_nothing_uploaded_is_unpickled(user: Client) -> None:
    assert user.build(image="this is no pickle").status_code == 202
