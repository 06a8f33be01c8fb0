"""Images at the API: what is taken, what is refused and with which status."""

from __future__ import annotations

import pytest

from chutes_wrappers.core import platform_rules
from chutes_wrappers.emulator.server import RunningPlatform
from chutes_wrappers.emulator.tables.user_table import Counted

from .client import Client


def test_an_image_is_taken_and_built(user: Client) -> None:
    submitted = user.build()
    assert submitted.status_code == 202
    image = submitted.json()
    assert image["status"] in ("pending build", "building", "built and pushed")
    user.get(f"/images/{image['image_id']}/logs")
    for name in (image["image_id"], "case:v1", "CASE:V1", "tester/case:v1"):
        found = user.get(f"/images/{name}").json()
        assert (found["image_id"], found["status"]) == (image["image_id"], "built and pushed")
    assert found["user"]["username"] == "tester"


def test_its_id_is_the_one_that_the_sdk_makes(user: Client) -> None:
    from chutes.image import Image

    assert user.built("Case", "V1")["image_id"] == Image(username="tester", name="Case", tag="V1").uid


def test_the_log_is_a_text_once_it_is_built(user: Client) -> None:
    user.built()
    logs = user.get("/images/case:v1/logs")
    assert logs.headers["content-type"].startswith("text/plain")
    assert "nothing was built" in logs.text


@pytest.mark.parametrize(("name", "tag"), [("ab", "v1"), ("case", "t" * 34), ("a/b", "v1"), ("case", "v:1")])
def test_a_name_that_is_refused(user: Client, name: str, tag: str) -> None:
    answer = user.build(name, tag)
    assert (answer.status_code, "Invalid image" in answer.json()["detail"]) == (400, True)


def test_a_tag_of_one_character_ends_in_a_bare_500(user: Client) -> None:
    answer = user.build("case", "1")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert user.get("/images/").json()["total"] == 0


def test_the_same_name_and_tag_is_built_once_whatever_their_case(user: Client) -> None:
    user.built()
    assert user.build("CASE", "V1").status_code == 409
    assert user.build("case", "v2").status_code == 202


def test_also_when_the_first_build_failed(platform: RunningPlatform, user: Client) -> None:
    image = user.built()
    platform.state.images.settle(image["image_id"], "error: it failed", None)
    assert user.build().status_code == 409
    assert user.delete("/images/case:v1").json() == {"image_id": image["image_id"], "deleted": True}
    assert user.build().status_code == 202


def test_a_build_needs_fifty_dollars(platform: RunningPlatform, user: Client) -> None:
    platform.state.users.set_balance(user.account.user_id, 49.99)
    answer = user.build()
    assert (answer.status_code, "$50" in answer.json()["detail"]) == (402, True)
    platform.state.users.set_balance(user.account.user_id, 50)
    assert user.build().status_code == 202


def test_the_twenty_fifth_build_of_a_day_is_refused(platform: RunningPlatform, user: Client) -> None:
    for _ in range(platform_rules.BUILDS_A_DAY - 1):
        platform.state.users.count(user.account.user_id, Counted.BUILD)
    assert user.build(tag="v24").status_code == 202
    assert user.build(tag="v25").status_code == 429
    assert Client.registered(user.url, "second").build().status_code == 202


def test_a_readme_has_an_end(user: Client) -> None:
    assert user.build(readme="x" * 16_385).status_code == 400
    assert user.build(readme="x" * 16_384).status_code == 202


def test_a_form_without_a_dockerfile_is_refused_field_by_field(user: Client) -> None:
    answer = user.upload("/images/", {"name": "case"}, other=("a", b"b", "text/plain"))
    assert answer.status_code == 422
    assert [problem["loc"][-1] for problem in answer.json()["detail"]] == ["tag", "dockerfile", "build_context"]


def test_what_a_chute_uses_is_not_deleted(user: Client) -> None:
    image = user.built()
    assert user.deploy().status_code == 200
    assert user.delete(f"/images/{image['image_id']}").status_code == 409
    user.delete("/chutes/case")
    assert user.delete(f"/images/{image['image_id']}").status_code == 200
    assert user.get("/images/case:v1").status_code == 404


def test_others_see_public_images_only(user: Client) -> None:
    user.built()
    shown = user.built("open", "v1", public="True")
    other = Client.registered(user.url, "second")
    assert other.get("/images/tester/case:v1").status_code == 404
    assert other.get("/images/tester/open:v1").status_code == 200
    assert other.get("/images/").json()["total"] == 0
    assert [one["name"] for one in other.get("/images/", include_public="True").json()["items"]] == ["open"]
    assert other.delete(f"/images/{shown['image_id']}").status_code == 404


def test_a_list_comes_in_pages(user: Client) -> None:
    for tag in ("v1", "v2", "v3"):
        user.built(tag=tag)
    first = user.get("/images/", limit=2, page=0).json()
    assert (first["total"], first["page"], first["limit"]) == (3, 0, 2)
    assert [one["tag"] for one in first["items"]] == ["v3", "v2"]
    assert [one["tag"] for one in user.get("/images/", limit=2, page=1).json()["items"]] == ["v1"]
    assert user.get("/images/", name="other").json()["items"] == []
    assert user.get("/images/", limit=0).status_code == 422


def test_nothing_uploaded_is_unpickled(user: Client) -> None:
    assert user.build(image="this is no pickle").status_code == 202
