"""TEE and GPUs at the API: the accepted placement, and every other with the API's status, text and order."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.core import overruled_rules, platform_rules
from chutes_wrappers.emulator.server import RunningPlatform
from chutes_wrappers.emulator.tables.user_table import DailyAction

from .client import CODE, CORD, Client, make_definition

NEEDS_TEE = "Only TEE chutes are supported as of 2026-05-12, please set tee=True"
LIMITED = "TEE private deployments are limited at this time due to infrastructure capacity limitations."
UNCHANGEABLE = "Cannot change node selector placement constraints on a TEE chute"
ONE = {"gpu_count": 1, "include": ["pro_6000"]}
OTHER_CODE = CODE + "\n# another version\n"
SIX = ["l4", "a10", "a40", "l40", "h100", "h200"]


@pytest.fixture
def owner(user: Client) -> Client:
    """A user with an image."""
    user.build_and_wait()
    return user


def deploy_with(owner: Client, **different: Any) -> tuple[int, Any]:
    """Deploy, and return the status with the text or the errors of the fields."""
    response = owner.deploy(**different)
    if not response.headers["content-type"].startswith("application/json"):
        return response.status_code, response.text
    detail = response.json().get("detail")
    fields = [f"{error['loc'][-1]}: {error['msg']}" for error in detail] if isinstance(detail, list) else None
    return response.status_code, fields or detail


def test_the_accepted_placement(owner: Client) -> None:
    selectors: tuple[dict[str, Any], ...] = (
        {},
        {"min_vram_gb_per_gpu": 96},
        {"max_hourly_price_per_gpu": 1.8},
        {"exclude": ["h100", "b200"]},
    )
    for number, selector in enumerate(selectors):
        assert deploy_with(owner, name=f"case-{number}", node_selector={**ONE, **selector})[0] == 200


def test_every_other_placement_is_rejected_with_the_apis_text(owner: Client) -> None:
    rejected: tuple[tuple[dict[str, Any], int, Any], ...] = (
        ({"tee": False, "node_selector": {"gpu_count": 1, "min_vram_gb_per_gpu": 16}}, 400, NEEDS_TEE),
        ({"tee": False}, 400, NEEDS_TEE),
        ({"node_selector": {"gpu_count": 1}}, 400, LIMITED),
        ({"node_selector": {**ONE, "gpu_count": 2}}, 400, LIMITED),
        ({"node_selector": {**ONE, "include": []}}, 400, LIMITED),
        ({"node_selector": {**ONE, "include": ["h100"]}}, 400, LIMITED),
        ({"node_selector": {**ONE, "include": ["pro_6000", "h100"]}}, 400, LIMITED),
        ({"node_selector": {**ONE, "include": ["PRO_6000"]}}, 500, "Internal Server Error"),
        ({"node_selector": {**ONE, "exclude": ["pro_6000"]}}, 500, "Internal Server Error"),
        ({"node_selector": {**ONE, "min_vram_gb_per_gpu": 97}}, 500, "Internal Server Error"),
        ({"node_selector": {**ONE, "max_hourly_price_per_gpu": 1.79}}, 500, "Internal Server Error"),
        ({"node_selector": {**ONE, "exclude": SIX}}, 400, "At most 5 GPUs may be excluded"),
        ({"name": "my-glyphs"}, 403, "Chute names with 'glyph' are reserved for its subnet"),
        ({"name": "goatee", "tee": False}, 400, "Only TEE chutes may have 'TEE' in their name"),
        (
            {"node_selector": {**ONE, "include": ["rtx1"]}},
            422,
            ["include: Value error, Invalid GPU identifiers `include`: {'rtx1'}"],
        ),
        (
            {"node_selector": {**ONE, "exclude": ["rtx1"]}},
            422,
            ["exclude: Value error, Invalid GPU identifiers `exclude`: {'rtx1'}"],
        ),
    )
    for overrides, status, expected in rejected:
        assert deploy_with(owner, **overrides) == (status, expected)
    assert owner.get("/chutes/").json()["total"] == 0
    assert owner.get("/users/me", "me").json()["balance"] == 100


def test_of_several_reasons_the_first_of_the_apis_order_is_returned(
    platform: RunningPlatform, owner: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Correct one error at a time: the next rejection is the next in the order."""
    state, user_id = platform.state, owner.account.user_id
    assert owner.deploy().status_code == 200
    definition: dict[str, Any] = make_definition(
        name="my-glyph-TEE",
        image="other:v1",
        public=True,
        code="import base64\nexec(base64.b64decode('eA=='))",
        concurrency=257,
        node_selector={"gpu_count": 2, "include": ["pro_6000"]},
    )
    for _ in range(platform_rules.MAX_VERSIONS_PER_DAY):
        state.users.record_action(user_id, DailyAction.CHUTE)
    state.users.set_balance(user_id, 1)

    def deploy_again(accept_fee: str = "false", **corrected: Any) -> tuple[int, str]:
        definition.update(corrected)
        response = owner.post("/chutes/", definition, accept_fee=accept_fee)
        return response.status_code, response.text

    def is_rejection(response: tuple[int, str], status: int, text: str) -> bool:
        return response[0] == status and text in response[1]

    assert is_rejection(deploy_again(), 422, "concurrency")
    assert is_rejection(deploy_again(concurrency=1), 403, "'glyph'")
    assert is_rejection(deploy_again(name="my-TEE"), 400, LIMITED)
    assert is_rejection(deploy_again(tee=False), 429, "per day")
    state.users._database.execute("DELETE FROM counters")  # the next day
    assert is_rejection(deploy_again(), 400, "'TEE' in their name")
    assert is_rejection(deploy_again(name="case"), 400, "no longer supports public chutes")
    monkeypatch.setenv(overruled_rules.VARIABLE, "public-chute")
    assert is_rejection(deploy_again(), 400, "Chute image not found")
    assert is_rejection(deploy_again(image="case:v1", code=CODE), 409, "non-public images")
    monkeypatch.delenv(overruled_rules.VARIABLE)
    assert is_rejection(deploy_again(public=False), 409, "already exists")
    assert is_rejection(deploy_again(name="other"), 400, NEEDS_TEE)
    assert is_rejection(deploy_again(tee=True, node_selector={**ONE, "exclude": ["pro_6000", *SIX]}), 400, "At most 5")
    assert is_rejection(deploy_again(node_selector={**ONE, "exclude": ["pro_6000"]}), 500, "Internal Server Error")
    assert is_rejection(deploy_again(node_selector=ONE), 402, "DEPLOYMENT FEE NOTICE")
    assert is_rejection(deploy_again("true"), 402, "you have a balance of 1")
    state.users.set_balance(user_id, 6)
    assert is_rejection(
        deploy_again("true", filename="A.py", ref_str="A:a", cords=[]), 400, "Invalid entrypoint filename"
    )
    assert is_rejection(deploy_again("true", filename="deploy_case.py"), 400, "Invalid chute reference string")
    assert is_rejection(deploy_again("true", ref_str="deploy_case:chute"), 400, "at least one cord")
    definition.update(cords=[CORD])
    assert deploy_again("true")[0] == 200


def test_a_tee_chute_keeps_its_gpus(platform: RunningPlatform, owner: Client) -> None:
    chute_id = owner.deploy().json()["chute_id"]
    chute = platform.state.chutes.find_by_id(chute_id)
    assert chute is not None
    # As an account with a special role may have deployed it.
    before = {**chute.definition, "node_selector": {**chute.definition["node_selector"], "gpu_count": 2}}
    deployed = {"user_id": chute.user_id, "username": "tester", "image_id": chute.image_id}
    platform.state.chutes.save(**deployed, definition=before)
    assert deploy_with(owner, code=OTHER_CODE) == (400, UNCHANGEABLE)
    before = {**chute.definition, "node_selector": {**chute.definition["node_selector"], "include": ["h100"]}}
    platform.state.chutes.save(**deployed, definition=before)
    assert deploy_with(owner, code=OTHER_CODE) == (400, UNCHANGEABLE)


def test_a_chute_that_was_deployed_without_tee_may_be_deployed_again_with_it(
    platform: RunningPlatform, owner: Client
) -> None:
    chute = platform.state.chutes.find_by_id(owner.deploy().json()["chute_id"])
    assert chute is not None
    old = {**chute.definition, "tee": False, "node_selector": {"gpu_count": 4, "min_vram_gb_per_gpu": 80}}
    platform.state.chutes.save(user_id=chute.user_id, username="tester", image_id=chute.image_id, definition=old)
    assert deploy_with(owner, code=OTHER_CODE)[0] == 200
