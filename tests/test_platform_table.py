"""The rules of the platform, one row each: what preflight says about an input, and what the emulator does with the same input.

Both must agree about the violation, about the input just inside of the rule, and about the violation with ``--allow RULE``.
A rule that a request to the API cannot violate is in ``ELSEWHERE``, with the test that shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core import overruled_rules, platform_rules
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.platform_rules import FACTS, OVERRULABLE_RULES
from chutes_wrappers.emulator import rejection
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from chutes_wrappers.emulator.tables.user_table import DailyAction
from chutes_wrappers.host.preflight.preflight import check_not_rejected
from tests.emulator.tokens import TOKEN

from .platform_case import DELETE, DEPLOY, FEE, REGISTER, SECRET, UPLOAD, Case, Way

ROOT = Path(__file__).parent
SIX_GPUS = ["l4", "a10", "a40", "l40", "h100", "h200"]
Change = Callable[[Case], object]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A rule, ``violate`` and ``keep``: changes of an input on the two sides of it, and the emulator's status and text.

    ``before``: rules that the violation violates too, which the API checks earlier or later; they are overruled.
    ``implied``: rules that are overruled too, since they are about the same part of the input.
    ``unknown``: why preflight cannot know the violation, so that it is silent, or only warns.
    ``warns``: the API accepts it, or only the newest one refuses it, so that preflight only warns.
    """

    rule: str
    violate: Change
    keep: Change
    status: int
    text: str = ""
    way: Way = DEPLOY
    before: tuple[str, ...] = ()
    implied: tuple[str, ...] = ()
    unknown: str = ""
    warns: bool = False


def set_selector(**values: Any) -> Change:
    return lambda case: case.selector.update(values)


def describe(**values: Any) -> Change:
    return lambda case: case.described.update(values)


def change_cord(**values: Any) -> Change:
    return lambda case: case.cord.update(values)


def change(**values: Any) -> Change:
    return lambda case: vars(case).update(values)


def change_image(**values: Any) -> Change:
    return lambda case: case.described["image"].update(values)


def both(*changes: Change) -> Change:
    return lambda case: [apply(case) for apply in changes]


ROWS = (
    Row(
        rule="tee-required",
        violate=describe(tee=False),
        keep=describe(tee="yes"),
        status=400,
        text="Only TEE chutes are supported as of 2026-05-12, please set tee=True",
    ),
    Row(
        rule="tee-placement",
        violate=set_selector(gpu_count=2),
        keep=set_selector(gpu_count="1"),
        status=400,
        text="TEE private deployments are limited at this time",
    ),
    Row(
        rule="no-gpu",
        violate=set_selector(min_vram_gb_per_gpu=97),
        keep=set_selector(min_vram_gb_per_gpu=96),
        status=500,
        text="Internal Server Error",
    ),
    Row(
        rule="no-gpu",
        violate=set_selector(max_hourly_price_per_gpu=1.79),
        keep=set_selector(max_hourly_price_per_gpu=1.8),
        status=500,
    ),
    Row(
        rule="no-gpu",
        violate=set_selector(exclude=["pro_6000"]),
        keep=set_selector(exclude=["h100"]),
        status=500,
    ),
    Row(rule="no-gpu", violate=set_selector(include=["PRO_6000"]), keep=set_selector(include=["pro_6000"]), status=500),
    Row(
        rule="tee-change",
        violate=lambda case: case.add_chute(node_selector={"gpu_count": 2, "include": ["pro_6000"]}),
        keep=lambda case: case.add_chute(tee=False, node_selector={"gpu_count": 8, "include": ["h200"]}),
        status=400,
        text="Cannot change node selector placement constraints on a TEE chute",
    ),
    Row(
        rule="tee-change",
        violate=lambda case: case.add_chute(node_selector={"gpu_count": 1, "include": ["h200"]}),
        keep=lambda case: case.add_chute(
            node_selector={"gpu_count": 1, "include": ["pro_6000"], "exclude": ["h200"], "min_vram_gb_per_gpu": 80}
        ),
        status=400,
    ),
    Row(
        rule="tee-name",
        violate=describe(name="goatee", tee=False),
        keep=describe(name="goatee"),
        before=("tee-required",),
        status=400,
    ),
    Row(rule="subnet-name", violate=describe(name="my-Glyphs"), keep=describe(name="my-gly-phs"), status=403),
    Row(
        rule="public-chute",
        violate=both(lambda case: case.add_image(public=True), change(public=True)),
        keep=lambda case: case.add_image(public=True),
        status=400,
        text="Chutes no longer supports public chutes.",
    ),
    Row(
        rule="private-image",
        violate=change(public=True),
        keep=lambda case: None,
        before=("public-chute",),
        status=409,
    ),
    Row(rule="image-unknown", violate=lambda case: case.remove_image(), keep=lambda case: None, status=400),
    Row(
        rule="image-unknown",
        violate=lambda case: case.add_image(status=platform_rules.IMAGE_BUILDING),
        keep=lambda case: case.add_image(status=platform_rules.IMAGE_BUILT),
        status=400,
    ),
    Row(
        rule="version-exists",
        violate=lambda case: DEPLOY.send(case),
        keep=lambda case: case.add_chute(),
        status=409,
        unknown="--deploy reports it as a success: this version is deployed already",
    ),
    Row(
        rule="exclude-count",
        violate=set_selector(exclude=SIX_GPUS),
        keep=set_selector(exclude=SIX_GPUS[1:]),
        status=400,
    ),
    Row(
        rule="fee-notice",
        violate=change(accept_fee=False),
        keep=both(lambda case: case.add_chute(), change(accept_fee=False)),
        status=402,
        text="DEPLOYMENT FEE NOTICE",
        unknown="--deploy asks for it: tests/cli/test_remote_deployment.py",
    ),
    Row(
        rule="balance",
        violate=lambda case: case.set_balance(FEE),
        keep=lambda case: case.set_balance(FEE + 0.01),
        status=402,
    ),
    Row(
        rule="balance",
        violate=both(lambda case: case.add_chute(), lambda case: case.set_balance(0.0)),
        keep=both(lambda case: case.add_chute(), lambda case: case.set_balance(0.01)),
        status=402,
    ),
    Row(
        rule="image-sdk",
        violate=lambda case: case.add_image(sdk_version="0.3.60"),
        keep=lambda case: case.add_image(sdk_version="0.3.61"),
        status=400,
        unknown="the forge installs the platform's SDK, which the client does not choose",
    ),
    Row(
        rule="immutable-chute",
        violate=lambda case: case.add_chute(immutable=True),
        keep=lambda case: case.add_chute(),
        status=403,
    ),
    Row(
        rule="daily-limit",
        violate=lambda case: case.use_day(DailyAction.CHUTE, 24),
        keep=lambda case: case.use_day(DailyAction.CHUTE, 23),
        status=429,
        unknown="deletions and several updates are in no list",
    ),
    Row(rule="text-length", violate=describe(name="ab"), keep=describe(name="abc"), status=422),
    Row(rule="text-length", violate=describe(name="n" * 128), keep=describe(name="n" * 127), status=422),
    Row(
        rule="chute-name",
        violate=describe(name="my chute"),
        keep=describe(name="My.chute/2"),
        status=400,
        text="Validation failure: ",
    ),
    Row(
        rule="module-file",
        violate=change(path="/x/2case.py"),
        keep=change(path="/x/case2.py"),
        status=400,
        text="Validation failure: ",
        implied=("module-reference",),
    ),
    Row(
        rule="module-reference",
        violate=change(variable="Chute"),
        keep=change(variable="chute"),
        status=400,
        text="Validation failure: ",
        unknown="the commands always pass the variable chute",
    ),
    Row(
        rule="module-syntax",
        violate=change(code="def :"),
        keep=change(code="pass"),
        status=400,
        text="Validation failure: ",
    ),
    Row(
        rule="source-length",
        violate=change(code="#" * 150_001),
        keep=change(code="#" * 150_000),
        status=422,
    ),
    Row(rule="text-length", violate=describe(tagline="t" * 1_025), keep=describe(tagline="t" * 1_024), status=422),
    Row(rule="text-length", violate=describe(readme="r" * 16_385), keep=describe(readme="r" * 16_384), status=422),
    *(
        Row(rule="number-range", violate=describe(**{name: bad}), keep=describe(**{name: good}), status=422)
        for name, bad, good in (
            *(("concurrency", 257, 256), ("concurrency", -1, 0), ("max_instances", 0, 1), ("max_instances", 101, 100)),
            *(("shutdown_after_seconds", 59, 60), ("shutdown_after_seconds", 604_801, 604_800)),
            *(("scaling_threshold", -0.1, 0), ("scaling_threshold", 1.1, 1)),
        )
    ),
    Row(
        rule="number-range",
        violate=set_selector(max_hourly_price_per_gpu=10),
        keep=set_selector(max_hourly_price_per_gpu=9.99),
        status=422,
    ),
    Row(
        rule="gpu-name",
        violate=set_selector(exclude=["rtx1"]),
        keep=set_selector(exclude=["H100"]),
        status=422,
    ),
    Row(
        rule="argument-type",
        violate=describe(max_instances="many"),
        keep=describe(max_instances="2"),
        status=422,
    ),
    Row(
        rule="argument-type",
        violate=set_selector(min_vram_gb_per_gpu="many"),
        keep=set_selector(min_vram_gb_per_gpu="20"),
        status=422,
    ),
    Row(
        rule="cord-path",
        violate=change_cord(path="/speak-now"),
        keep=change_cord(path="/speak_now"),
        status=400,
        text="Validation failure: ",
    ),
    Row(
        rule="public-path",
        violate=change_cord(public_api_path="/v1/2nd"),
        keep=change_cord(public_api_path="/v1/the-2nd"),
        status=400,
        text="Validation failure: ",
    ),
    Row(
        rule="public-method",
        violate=change_cord(public_api_method="OPTIONS"),
        keep=change_cord(public_api_method="GET"),
        status=400,
        text="Validation failure: ",
    ),
    Row(
        rule="public-method",
        violate=change_cord(public_api_method="DELETE"),
        keep=change_cord(public_api_method="POST"),
        status=200,
        warns=True,
    ),
    Row(
        rule="no-cord",
        violate=describe(cords=[]),
        keep=lambda case: None,
        status=400,
        text="at least one cord",
    ),
    Row(
        rule="shadowed-path",
        violate=change_cord(public_api_path="/logs/speak"),
        keep=change_cord(public_api_path="/logs-of"),
        status=200,
        warns=True,
    ),
    Row(
        rule="reserved-path",
        violate=change_cord(public_api_path="/hf_info"),
        keep=change_cord(public_api_path="/hf_infos"),
        status=200,
        warns=True,
    ),
    Row(
        rule="hidden-cord",
        violate=lambda case: case.described["cords"].append({**case.cord, "function": "again", "path": "/again"}),
        keep=lambda case: case.described["cords"].append(
            {**case.cord, "function": "again", "path": "/again", "public_api_path": "/again"}
        ),
        status=200,
        warns=True,
    ),
    Row(
        rule="code-review",
        violate=change(code="import base64\nexec(base64.b64decode('cGFzcw=='))\n"),
        keep=change(code="import base64\n"),
        status=200,
        warns=True,
    ),
    Row(
        rule="future-annotations",
        violate=change(code="from __future__ import annotations\n"),
        keep=change(code="from __future__ import division\n"),
        status=200,
        warns=True,
    ),
    Row(
        rule="chute-replacement",
        violate=both(lambda case: case.add_chute(name="my-case"), describe(name="My_case")),
        keep=both(lambda case: case.add_chute(name="my-case"), describe(name="my-case")),
        status=200,
    ),
    Row(
        rule="build-limit",
        violate=both(change_image(tag="v2"), lambda case: case.use_day(DailyAction.BUILD, 24)),
        keep=both(change_image(tag="v2"), lambda case: case.use_day(DailyAction.BUILD, 23)),
        way=UPLOAD,
        status=429,
        unknown="deleted images are in no list",
    ),
    Row(
        rule="sdk-version",
        violate=both(change_image(tag="v2"), change(sdk_version="0.3.60")),
        keep=both(change_image(tag="v2"), change(sdk_version="0.3.61")),
        way=UPLOAD,
        status=400,
    ),
    Row(
        rule="build-balance",
        violate=both(change_image(tag="v2"), lambda case: case.set_balance(49.99)),
        keep=both(change_image(tag="v2"), lambda case: case.set_balance(50.0)),
        way=UPLOAD,
        status=402,
        text="You must have a balance of >= $50 to create images.",
    ),
    Row(rule="image-exists", violate=lambda case: None, keep=change_image(tag="v2"), way=UPLOAD, status=409),
    Row(
        rule="image-exists",
        violate=lambda case: case.add_image(status="error: it failed"),
        keep=change_image(tag="v2"),
        way=UPLOAD,
        status=409,
    ),
    Row(rule="image-name", violate=change_image(name="ab"), keep=change_image(name="abc"), way=UPLOAD, status=500),
    Row(
        rule="image-name",
        violate=change_image(name="n" * 66),
        keep=change_image(name="n" * 65),
        way=UPLOAD,
        status=500,
    ),
    Row(rule="image-tag", violate=change_image(tag="1"), keep=change_image(tag="12"), way=UPLOAD, status=500),
    Row(
        rule="image-tag",
        violate=change_image(tag="1" * 34),
        keep=change_image(tag="1" * 33),
        way=UPLOAD,
        status=500,
    ),
    Row(
        rule="delete-by-id",
        violate=change(deletes_by_name=True),
        keep=change(deletes_by_name=False),
        way=DELETE,
        status=400,
        text="Must use chute UUID to delete.",
        unknown="--delete always sends the id",
    ),
    Row(rule="username", violate=change(username="ab"), keep=change(username="a-2"), way=REGISTER, status=400),
    *(
        Row(rule="secret-name", violate=change(secret=bad), keep=change(secret=good), way=SECRET, status=403)
        for bad, good in (
            *(("MY_PYTHON", "PY_THON"), ("LD_PRELOAD", "OLD_PRELOAD"), ("sgl_x", "SG_X"), ("USE_SGLANG", "SGL")),
            *(("https_proxy", "ALL_PROXY"), ("HF_HUB_DISABLE_SSL_VERIFY", "HF_TOKEN")),
        )
    ),
)
# Parts of one module that violate many rules at once; each can be left out.
VIOLATIONS: dict[str, Change] = {
    "text-length": describe(tagline="t" * 1_025),
    "number-range": describe(max_instances=101),
    "gpu-name": lambda case: case.selector.update(exclude=[*(case.selector["exclude"] or ()), "rtx1"]),
    "subnet-name": lambda case: case.change_name(f"glyph-{case.described['name']}"),
    "tee-placement": set_selector(gpu_count=2),
    "tee-name": lambda case: case.change_name(f"{case.described['name']}TEE"),
    "public-chute": change(public=True),
    "image-unknown": lambda case: case.add_image(status=platform_rules.IMAGE_BUILDING),
    "tee-required": describe(tee=False),
    "exclude-count": lambda case: case.selector.update(exclude=[*(case.selector["exclude"] or ()), *SIX_GPUS]),
    "no-gpu": set_selector(min_vram_gb_per_gpu=97),
    "balance": lambda case: case.set_balance(0),
    "chute-name": lambda case: case.change_name(f"{case.described['name']} !"),
    "module-file": change(path="/x/2case.py"),
    "cord-path": change_cord(path="/speak-now"),
    "public-path": change_cord(public_api_path="/2nd"),
    "public-method": change_cord(public_api_method="OPTIONS"),
}
# What the API reports after the rule that preflight names for the same part.
ALIASES = {"module-reference": "module-file"}
ROW_IDS = [f"{row.rule}-{number}" for number, row in enumerate(ROWS)]
# Rules that no request to the API violates here, and the tests that show what happens.
ELSEWHERE = {
    "service-port": "runtime/test_startup.py::test_in_a_wrapped_image_the_platforms_ports_are_rejected",
    "toolkit-import": "host/preflight/test_source.py::test_an_image_without_our_package_is_reported",
    "guard-library": "sdk/test_image.py::test_a_variable_that_the_guard_library_does_not_stand_can_be_overruled",
    "secret-chute": "emulator/api/test_account_objects.py::test_a_secret_needs_a_deployed_chute_unless_that_is_overruled",
    "stale-image": "host/test_upload_records.py::test_an_upload_is_stale_after_a_change_of_the_manifest",
    "image-libraries": "host/test_inspection.py::test_an_image_that_cannot_run_is_rejected_with_reason_and_next_step",
    "image-platform": "host/test_inspection.py::test_an_image_that_cannot_run_is_rejected_with_reason_and_next_step",
    "image-cuda": "host/test_cuda_version.py::test_an_image_without_a_known_cuda_gets_none",
    "duplicate-path": "host/preflight/test_cords.py::test_internal_paths_are_unique_whatever_the_method",
    "forge-base": "emulator/test_builds.py::test_the_newer_forge_refuses_another_base_in_the_platforms_words",
    "logo-file": "cli/test_placement_warnings.py::test_build_and_deploy_upload_nothing_of_it",
    "object-body": "host/calling/test_body.py::test_json_that_is_not_an_object_is_rejected",
    "get-body": "host/calling/test_target.py::test_a_method_that_no_cord_has_and_a_body_that_it_cannot_have_are_rejected",
    "stream-request": "host/calling/test_target.py::test_a_stream_may_be_requested_from_a_streaming_route",
    "body-size": "emulator/test_invocation.py::test_a_body_above_the_limit_gets_413_and_one_of_the_limit_does_not",
    "registration-token": "cli/setup/test_wizard.py::test_a_wrong_registration_token_is_named_with_its_variable",
    "share-recipient": "cli/commands/test_sharing.py::test_other_names_are_rejected_with_the_way_to_name_the_user",
    "registration-deposit": "emulator/api/test_user_routes.py::test_a_registration_needs_the_deposit_unless_the_coldkey_cannot_be_asked",
}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """A platform that builds and runs nothing."""
    folder = tmp_path_factory.mktemp("platform")
    with run_platform(Settings(registration_token=TOKEN, folder=folder, docker=False)) as running:
        yield running


@pytest.fixture(autouse=True)
def no_overruled_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(overruled_rules.VARIABLE, "")


def list_rules(row: Row, case: Case, severity: str) -> list[str]:
    return [problem.rule for problem in row.way.find(case) if problem.severity == severity]


@pytest.mark.parametrize("row", ROWS, ids=ROW_IDS)
def test_both_sides_reject_a_violation_unless_it_is_overruled(platform: RunningPlatform, row: Row) -> None:
    case = Case.create(platform)
    row.violate(case)
    overruled_rules.overrule(row.before)
    problems = row.way.find(case)
    found = {problem.rule for problem in problems if problem.severity == ("warning" if row.warns else "rejected")}
    assert found == {*row.before, row.rule} or row.unknown, problems
    if not row.unknown and not row.warns:
        with pytest.raises(ConfigurationError) as refused:
            check_not_rejected(problems, "deploy_case.py")
        assert f"rule {row.rule}, as of" in str(refused.value)
    status, text = row.way.send(case)
    assert status == row.status, text
    assert row.text in text
    if not row.warns and platform_rules.find_fact(row.rule).refusal.isdecimal():
        assert platform_rules.find_fact(row.rule).refusal == str(status)  # what --doctor --facts says
    if row.rule in OVERRULABLE_RULES and not row.warns and row.status != 200:
        overruled_rules.overrule([row.rule, *row.implied])
        check_not_rejected(problems, "deploy_case.py")
        status, text = row.way.send(case)
        assert status in (200, 202), text


@pytest.mark.parametrize("row", ROWS, ids=ROW_IDS)
def test_both_sides_accept_the_input_just_inside(platform: RunningPlatform, row: Row) -> None:
    case = Case.create(platform)
    row.keep(case)
    assert row.rule not in list_rules(row, case, "rejected")
    assert not list_rules(row, case, "rejected")
    if row.warns:
        assert row.rule not in list_rules(row, case, "warning")
    status, text = row.way.send(case)
    assert status in (200, 202), text


def make_violating_case(platform: RunningPlatform, rules: Sequence[str]) -> Case:
    case = Case.create(platform)
    for rule in rules:
        VIOLATIONS[rule](case)
    return case


def test_preflight_lists_all_at_once_in_the_order_in_which_the_api_refuses(
    platform: RunningPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Correct what the API refuses first, until it accepts: each time it is the first of preflight's list."""
    refused: list[str] = []

    def is_overruled(rule: str) -> bool:
        refused.append(ALIASES.get(rule, rule))
        return False

    monkeypatch.setattr(rejection, "is_overruled", is_overruled)
    remaining = list(VIOLATIONS)
    while remaining:
        case = make_violating_case(platform, remaining)
        expected = [problem.rule for problem in DEPLOY.find(case) if problem.severity == "rejected"]
        refused.clear()
        status, text = DEPLOY.send(case)
        group = next(group for group in platform_rules.CHECK_ORDER if refused[0] in group)
        assert expected, (remaining, status, text)
        assert expected[0] in group, (expected, refused, text)
        assert set(refused) <= {*expected, "private-image"}, (expected, refused)
        remaining.remove(next(rule for rule in expected if rule in refused))
    assert DEPLOY.send(Case.create(platform))[0] == 200


def test_every_rule_that_can_be_overruled_has_a_row_or_a_test() -> None:
    assert {row.rule for row in ROWS} | set(ELSEWHERE) >= set(OVERRULABLE_RULES)


@pytest.mark.parametrize("rule", ELSEWHERE)
def test_the_named_test_exists(rule: str) -> None:
    path, _, name = ELSEWHERE[rule].partition("::")
    assert rule in {fact.name for fact in FACTS}
    assert f"def {name}(" in (ROOT / path).read_text()
