"""The API's chutes: deployment with every rejection, versions, lists and shares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core import overruled_rules, platform_rules
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from chutes_wrappers.emulator.staleness import PLATFORM_STALENESS
from chutes_wrappers.emulator.tables.user_table import DailyAction
from tests.emulator.tiny import ManualClock
from tests.emulator.tokens import TOKEN

from .client import CODE, CORD, Client

OTHER_CODE = CODE + "\n# another version\n"
OBFUSCATED = "import base64\nexec(base64.b64decode('eA=='))"


@pytest.fixture
def owner(user: Client) -> Client:
    """A user with an image."""
    user.build_and_wait()
    return user


def test_a_deployment_is_what_was_sent(owner: Client) -> None:
    from chutes.chute import Chute

    deployed = owner.deploy()
    assert deployed.status_code == 200
    chute = deployed.json()
    assert chute["chute_id"] == Chute(username="tester", name="case", image="x").uid
    assert (chute["slug"], chute["hot"], chute["instances"]) == ("tester-case", False, [])
    for name in (chute["chute_id"], "case"):
        chute_json = owner.get(f"/chutes/{name}").json()
        assert (chute_json["version"], chute_json["cords"], "code" in chute_json) == (chute["version"], [CORD], False)
    assert owner.get(f"/chutes/code/{chute['chute_id']}").text == CODE
    assert chute_json["image"]["name"] == "case"
    assert chute_json["node_selector"]["gpu_count"] == 1


def test_an_update_is_a_new_version_and_free(owner: Client) -> None:
    first = owner.deploy().json()
    second = owner.deploy(accept_fee=False, code=OTHER_CODE)
    assert second.status_code == 200
    assert (second.json()["chute_id"], second.json()["slug"]) == (first["chute_id"], first["slug"])
    assert second.json()["version"] != first["version"]


def test_the_same_version_twice_is_a_duplicate(owner: Client) -> None:
    owner.deploy()
    response = owner.deploy()
    assert (response.status_code, "already exists" in response.json()["detail"]) == (409, True)


def test_the_first_deployment_costs_three_hours(platform: RunningPlatform, owner: Client) -> None:
    refused = owner.deploy(accept_fee=False)
    notice = refused.json()["detail"]
    assert (refused.status_code, notice.startswith("DEPLOYMENT FEE NOTICE:\n===\n")) == (402, True)
    assert "which for this configuration is: $5.4\n" in notice
    assert "The hourly price is $1.8." in notice
    assert owner.get("/users/me", "me").json()["balance"] == 100
    assert owner.deploy().status_code == 200
    assert owner.get("/users/me", "me").json()["balance"] == pytest.approx(94.6)


def test_a_deployment_needs_the_fee(platform: RunningPlatform, owner: Client) -> None:
    platform.state.users.set_balance(owner.account.user_id, 5.4)  # exactly the fee: the balance must be higher
    response = owner.deploy()
    assert (response.status_code, "is $5.4, but you have a balance of 5.4.\n" in response.json()["detail"]) == (
        402,
        True,
    )
    assert owner.get("/chutes/").json()["total"] == 0


def test_an_update_is_free_but_not_for_an_account_without_money(platform: RunningPlatform, owner: Client) -> None:
    assert owner.deploy().status_code == 200
    platform.state.users.set_balance(owner.account.user_id, 0)
    assert owner.deploy(code=OTHER_CODE).status_code == 402
    platform.state.users.set_balance(owner.account.user_id, 0.01)
    assert owner.deploy(code=OTHER_CODE).status_code == 200


def test_an_image_must_exist_and_be_built(platform: RunningPlatform, owner: Client) -> None:
    unknown = owner.deploy(image="other:v1")
    assert (unknown.status_code, unknown.json()["detail"]) == (
        400,
        "Chute image not found, or does not belong to you",
    )
    image = owner.get("/images/case:v1").json()
    for status in ("pending build", "building", "error: it failed"):
        platform.state.images.finish_build(image["image_id"], status, None)
        response = owner.deploy()
        assert (response.status_code, status in response.json()["detail"]) == (400, True)


def test_public_is_refused_also_with_the_permission_that_the_sdk_checks(
    platform: RunningPlatform, owner: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner.build_and_wait("open", "v1", public="True")
    platform.state.users.set_permissions(owner.account.user_id, 1 << platform_rules.PUBLIC_CHUTES_BIT)
    refused = owner.deploy(public=True, image="open:v1")
    assert (refused.status_code, refused.json()["detail"]) == (
        400,
        "Chutes no longer supports public chutes. You can instead deploy the chute as a private chute and share it with "
        "other users.",
    )
    monkeypatch.setenv(overruled_rules.VARIABLE, "public-chute")
    assert owner.deploy(public=True).status_code == 409
    assert owner.deploy(public=True, image="open:v1").status_code == 200


def test_the_twenty_fifth_version_of_a_day_is_rejected(platform: RunningPlatform, owner: Client) -> None:
    for _ in range(platform_rules.MAX_VERSIONS_PER_DAY - 1):
        platform.state.users.record_action(owner.account.user_id, DailyAction.CHUTE)
    assert owner.deploy().status_code == 200
    assert owner.deploy(code=OTHER_CODE).status_code == 429


def test_invalid_deployments_are_rejected(owner: Client) -> None:
    invalid: tuple[tuple[dict[str, Any], int, str], ...] = (
        ({"name": "ab"}, 422, "at least 3 characters"),
        ({"filename": "Deploy.py", "ref_str": "Deploy:chute"}, 400, "filename"),
        ({"ref_str": "deploy_case:Chute"}, 400, "reference"),
        ({"code": "x" * 150_001}, 422, "150000"),
        ({"concurrency": 257}, 422, "256"),
        ({"cords": [{**CORD, "public_api_method": "put"}]}, 400, "Unsupported public API method: put"),
        ({"cords": [{**CORD, "path": "/has-dash"}]}, 400, "path"),
        ({"cords": [{**CORD, "public_api_path": "/1"}]}, 400, "path"),
        ({"cords": []}, 400, "at least one cord"),
        ({"node_selector": {"gpu_count": 9}}, 422, "8"),
    )
    for overrides, status, message in invalid:
        response = owner.deploy(**overrides)
        assert (response.status_code, message in str(response.json()["detail"])) == (status, True), response.text
    assert owner.get("/chutes/").json()["total"] == 0
    assert owner.get("/users/me", "me").json()["balance"] == 100


def test_a_list_has_cords_separate_from_chutes(owner: Client) -> None:
    owner.deploy()
    owner.deploy(name="again")
    owner.deploy(name="other", cords=[{**CORD, "public_api_path": "/other"}])
    listed = owner.get("/chutes/").json()
    assert (listed["total"], len(listed["cord_refs"])) == (3, 2)
    for item in listed["items"]:
        (cord,) = listed["cord_refs"][item["cord_ref_id"]]
        assert cord["public_api_path"] == ("/other" if item["name"] == "other" else "/greet")
        assert "cords" not in item


def test_a_cord_without_a_public_path_is_accepted_and_never_matched(platform: RunningPlatform, owner: Client) -> None:
    deployed = owner.deploy(cords=[CORD, {**CORD, "path": "/inner", "public_api_path": None}]).json()
    assert [cord["public_api_path"] for cord in deployed["cords"]] == ["/greet", None]
    (chute,) = platform.list_chutes()
    assert [cord.public_api_path for cord in chute.cords] == ["/greet", ""]


def test_a_name_may_contain_slashes(owner: Client) -> None:
    owner.deploy(name="models/case")
    assert owner.get("/chutes/models/case").json()["slug"] == "tester-models-case"
    assert owner.delete_chute("models/case").status_code == 200


def test_a_chute_is_visible_only_to_users_it_is_shared_with(owner: Client) -> None:
    chute_id = owner.deploy().json()["chute_id"]
    other = Client.register(owner.url, "second")
    body = {"chute_id_or_name": "case", "user_id_or_name": "second"}
    assert other.get("/chutes/case").status_code == 404
    assert other.post("/chutes/share", {**body, "user_id_or_name": "second"}).status_code == 404
    assert "second" in owner.post("/chutes/share", body).json()["status"]
    assert other.get("/chutes/case").status_code == 200
    assert [one["name"] for one in other.get("/chutes/").json()["items"]] == ["case"]
    assert other.delete(f"/chutes/{chute_id}").status_code == 404
    assert owner.post("/chutes/unshare", body).status_code == 200
    assert other.get("/chutes/case").status_code == 404
    assert owner.post("/chutes/share", {**body, "user_id_or_name": "nobody"}).status_code == 404


def test_a_deleted_chute_is_not_found(owner: Client) -> None:
    chute_id = owner.deploy().json()["chute_id"]
    by_name = owner.delete("/chutes/case")
    assert (by_name.status_code, by_name.json()["detail"]) == (400, "Must use chute UUID to delete.")
    assert owner.delete_chute("case").json() == {"chute_id": chute_id, "deleted": True}
    assert owner.delete_chute("case").status_code == 404
    assert owner.deploy(accept_fee=False).status_code == 402


def test_without_instances_a_chute_stays_cold(owner: Client) -> None:
    owner.deploy()
    assert owner.get("/chutes/warmup/case", quick="true").json()["status"] == "cold"
    assert '"status": "cold"' in owner.get("/chutes/warmup/case").text
    assert owner.get("/chutes/warmup/other").status_code == 404
    assert owner.get("/instances/x").status_code == 404


def deploy_as(url: str, username: str, **overrides: Any) -> tuple[Client, str]:
    """Register a user, deploy a chute, and return the user's client and the chute's id."""
    client = Client.register(url, username)
    client.build_and_wait()
    response = client.deploy(**overrides)
    assert response.ok, response.text
    return client, response.json()["chute_id"]


def test_a_name_is_looked_up_exactly_over_the_chutes_of_everybody(owner: Client) -> None:
    stranger, stranger_id = deploy_as(owner.url, "stranger")
    own_id = owner.deploy().json()["chute_id"]
    assert owner.get("/chutes/case").status_code == 404  # the oldest is the stranger's
    assert owner.get(f"/chutes/{own_id}").json()["chute_id"] == own_id
    assert owner.get("/chutes/Case").status_code == 404
    shared = {"chute_id_or_name": stranger_id, "user_id_or_name": "tester"}
    assert stranger.post("/chutes/share", shared).ok  # without the consent of the other
    assert owner.get("/chutes/case").json()["chute_id"] == stranger_id


def test_of_equal_names_the_platforms_own_chute_is_first(owner: Client) -> None:
    owner.deploy()
    platforms, _ = deploy_as(owner.url, "chutes")
    assert owner.get("/chutes/case").status_code == 404
    assert platforms.get("/chutes/case").status_code == 200


def test_warm_up_shares_and_secrets_match_names_as_patterns_the_callers_own_first(owner: Client) -> None:
    stranger, stranger_id = deploy_as(owner.url, "stranger", name="my-chat")
    stranger.post("/chutes/share", {"chute_id_or_name": stranger_id, "user_id_or_name": "tester"})
    assert owner.get("/chutes/warmup/MY_CHAT", quick="true").json()["chute_id"] == stranger_id
    made = owner.post("/secrets/", {"purpose": "my_chat", "key": "A", "value": "x"}).json()
    assert made["purpose"] == stranger_id
    own_id = owner.deploy(name="my.chat").json()["chute_id"]
    assert owner.get("/chutes/warmup/my_chat", quick="true").json()["chute_id"] == own_id
    assert owner.post("/secrets/", {"purpose": "%CHAT", "key": "A", "value": "x"}).json()["purpose"] == own_id
    for name in ("bob_x", "b_b_x"):
        Client.register(owner.url, name)
    body = {"chute_id_or_name": "MY_chat", "user_id_or_name": "b_b_x"}
    assert owner.post("/chutes/share", body).json()["status"] == "Successfully shared chute my.chat with bob_x"


def test_a_deployment_replaces_the_own_chute_whose_name_matches(owner: Client) -> None:
    first = owner.deploy(name="my-chat").json()
    second = owner.deploy(name="My_Chat", code=OTHER_CODE).json()
    assert (second["chute_id"], second["name"]) == (first["chute_id"], "my-chat")
    assert owner.get("/chutes/").json()["total"] == 1


def test_what_only_some_versions_reject_is_accepted_with_a_warning(tmp_path: Path) -> None:
    lines: list[str] = []
    settings = Settings(folder=tmp_path / "state", docker=False, registration_token=TOKEN, on_line=lines.append)
    with run_platform(settings) as platform:
        user = Client.register(platform.url, "tester")
        user.build_and_wait()
        cords = [{**CORD, "public_api_method": "HEAD"}]
        assert user.deploy(code=OBFUSCATED, cords=cords).status_code == 200
    output_text = "\n".join(lines)
    assert "by its code review: the code is obfuscated" in output_text
    assert "the public method HEAD of /greet is accepted by the newest" in output_text


def test_an_update_with_invalid_content_ends_in_a_bare_500(owner: Client) -> None:
    owner.deploy()
    invalid: tuple[dict[str, Any], ...] = (
        {"cords": [{**CORD, "path": "/has-dash"}]},
        {"filename": "Upper.py"},
        {"code": "x = ("},
    )
    for overrides in invalid:
        response = owner.deploy(**{"code": OTHER_CODE, **overrides})
        assert (response.status_code, response.text) == (500, "Internal Server Error")
    assert owner.deploy(code=OTHER_CODE, cords=[]).status_code == 400


def test_an_immutable_chute_can_only_be_deleted(platform: RunningPlatform, owner: Client) -> None:
    chute = platform.state.chutes.find_by_id(owner.deploy().json()["chute_id"])
    assert chute is not None
    platform.state.chutes.change(chute, {"immutable": True})
    assert owner.deploy(code=OTHER_CODE).status_code == 403
    assert owner.put(f"/chutes/{chute.chute_id}", {"disabled": True}).status_code == 403
    assert owner.delete_chute("case").status_code == 200


def test_a_deployed_chute_is_changed_without_a_new_version(owner: Client) -> None:
    deployed = owner.deploy(tagline="old").json()
    changes = {"tagline": "", "readme": "new", "max_instances": 3, "shutdown_after_seconds": 600, "disabled": True}
    changed = owner.put("/chutes/case", changes).json()
    fields = ("version", "tagline", "readme", "max_instances", "shutdown_after_seconds", "disabled")
    assert [changed[name] for name in fields] == [deployed["version"], "old", "new", 3, 300, True]
    assert owner.deploy(code=OTHER_CODE).json()["disabled"] is True
    assert owner.put("/chutes/case", {"disabled": False}).json()["disabled"] is False
    assert owner.put("/chutes/case", {"max_instances": 101}).status_code == 422
    assert owner.put("/chutes/Case", {}).status_code == 404
    assert Client.register(owner.url, "second").put(f"/chutes/{deployed['chute_id']}", {}).status_code == 404


def test_a_disabled_chute_and_one_whose_owner_cannot_pay_are_not_warmed_up(
    platform: RunningPlatform, owner: Client
) -> None:
    owner.deploy()
    owner.put("/chutes/case", {"disabled": True})
    assert owner.get("/chutes/warmup/case", quick="true").status_code == 503
    owner.put("/chutes/case", {"disabled": False})
    assert owner.get("/chutes/warmup/case", quick="true").status_code == 200
    platform.state.users.set_balance(owner.account.user_id, 0)
    assert owner.get("/chutes/warmup/case", quick="true").status_code == 402


def test_creations_updates_and_deletions_count_for_the_day(platform: RunningPlatform, owner: Client) -> None:
    for _ in range(platform_rules.MAX_VERSIONS_PER_DAY - 4):
        platform.state.users.record_action(owner.account.user_id, DailyAction.CHUTE)
    assert owner.deploy().ok
    assert owner.deploy(code=OTHER_CODE).ok
    assert owner.deploy(name="other").ok
    assert owner.delete_chute("case").ok
    assert owner.deploy().status_code == 429
    assert owner.delete_chute("other").ok


def test_a_404_of_a_chute_is_remembered_when_staleness_is_on(tmp_path: Path) -> None:
    clock = ManualClock()
    settings = Settings(
        folder=tmp_path / "state", docker=False, registration_token=TOKEN, staleness=PLATFORM_STALENESS, clock=clock
    )
    with run_platform(settings) as platform:
        user = Client.register(platform.url, "tester")
        user.build_and_wait()
        assert user.get("/chutes/case").status_code == 404
        chute_id = user.deploy().json()["chute_id"]
        assert user.get("/chutes/case").status_code == 404
        assert user.get(f"/chutes/{chute_id}").status_code == 200
        assert [one["name"] for one in user.get("/chutes/", name="case").json()["items"]] == ["case"]
        clock.advance(31)
        assert user.get("/chutes/case").status_code == 200


def test_a_404_is_not_remembered_by_default(owner: Client) -> None:
    assert owner.get("/chutes/case").status_code == 404
    owner.deploy()
    assert owner.get("/chutes/case").status_code == 200
