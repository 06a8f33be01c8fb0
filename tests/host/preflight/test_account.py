from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.host.platform_api.objects import AccountInfo, ChuteInfo, ImageInfo, parse_chute
from chutes_wrappers.host.preflight.account import (
    find_chute_problems,
    find_deployment_problems,
    find_logo_problems,
    find_replacement_problems,
    find_updated_chute,
    find_upload_problems,
)
from chutes_wrappers.host.preflight.problem import Problem

from .module_texts import assert_one_problem, build_description

IMAGE = ImageInfo(
    image_id="i", name="case", tag="v1", status="built and pushed", public=False, owner="tester", created_at=None
)


@pytest.mark.parametrize(
    ("fee", "balance", "message"),
    [
        (5.4, 5.4, "costs $5.40 once, and the balance must be more than $5.40: it is $5.40"),
        (5.4, 5.41, None),
        (None, 0.0, "the balance must be more than $0.00: it is $0.00"),  # an update, or a price that is not known
        (None, -1.0, "the balance must be more than $0.00: it is $-1.00"),
        (None, 0.01, None),
        (5.4, None, None),
    ],
)
def test_the_balance_must_be_more_than_the_fee(fee: float | None, balance: float | None, message: str | None) -> None:
    account = AccountInfo(
        username="tester", user_id="u", balance=balance, payment_address="5Pay", permissions=(), may_publish=False
    )
    problems = [*find_deployment_problems(account, IMAGE, reference="case:v1", module="m", public=False, fee=fee)]
    if message is None:
        assert problems == []
    else:
        assert_one_problem(problems, message, "5Pay")


def test_a_name_that_the_platform_would_take_for_another_chute_is_a_problem() -> None:
    others = ["my-chat", "my_chat2", "other"]
    assert_one_problem([*find_replacement_problems("my_chat", others)], "'my_chat'", "'my-chat'")
    assert_one_problem([*find_replacement_problems("OTHER", others)], "'OTHER'", "'other'")
    assert [*find_replacement_problems("my-chat2", others)] == []


def build_chute(name: str = "case", **record: Any) -> ChuteInfo:
    selector = {"gpu_count": 1, "include": ["pro_6000"], "exclude": None}
    return parse_chute(
        {"chute_id": "c", "name": name, "version": "1", "node_selector": selector, "tee": True, **record}
    )


def test_the_same_placement_is_an_update() -> None:
    assert [*find_chute_problems(build_description(), [build_chute()])] == []
    supported = {"gpu_count": 1, "include": ["PRO_6000"], "supported_gpus": ["pro_6000"]}
    assert [*find_chute_problems(build_description(), [build_chute(node_selector=supported)])] == []


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ({"gpu_count": 2, "include": ["pro_6000"]}, "gpu_count 2, not 1"),
        ({"gpu_count": 1, "include": ["h200", "b200"]}, "the GPUs b200, h200, not pro_6000"),
        ({"gpu_count": 1, "include": None, "supported_gpus": ["h100"]}, "the GPUs h100, not pro_6000"),
        ({"gpu_count": 1, "include": ["pro_6000", "h200"]}, "the GPUs h200, pro_6000, not pro_6000"),
    ],
)
def test_a_tee_chute_with_another_placement_must_be_deleted_first(selector: dict[str, Any], message: str) -> None:
    problems = [*find_chute_problems(build_description(), [build_chute(node_selector=selector)])]
    assert_one_problem(
        problems,
        message,
        "Cannot change node selector",
        "delete it first",
        "--delete case",
        "same id",
        rule="tee-change",
    )
    assert [*find_chute_problems(build_description(), [build_chute(node_selector=selector, tee=False)])] == []
    unknown = [*find_chute_problems(build_description(), [build_chute(node_selector=selector, tee=None)])]
    assert_one_problem(unknown, "does not tell whether", severity="warning", rule="tee-change")


def test_an_immutable_chute_is_named_before_an_upload() -> None:
    problems = [*find_chute_problems(build_description(), [build_chute(immutable=True)])]
    assert_one_problem(problems, "immutable", "another CHUTE_NAME", "--delete case", rule="immutable-chute")
    assert [*find_chute_problems(build_description(name="other"), [build_chute(immutable=True)])] == []


def test_a_public_chute_is_refused_to_everybody() -> None:
    def find(*, may_publish: bool) -> list[Problem]:
        account = AccountInfo(
            username="tester", user_id="u", balance=9.0, payment_address="5", permissions=(), may_publish=may_publish
        )
        image = replace(IMAGE, public=True)
        return [*find_deployment_problems(account, image, reference="case:v1", module="m", public=True, fee=None)]

    assert_one_problem(
        find(may_publish=True), "Chutes no longer supports public chutes", "--share", rule="public-chute"
    )
    assert "the SDK refuses it too" not in find(may_publish=True)[0].what
    assert_one_problem(find(may_publish=False), "the SDK refuses it too", rule="public-chute")


@pytest.mark.parametrize(("count", "is_near"), [(19, False), (20, True), (24, True)])
def test_near_a_limit_of_a_day_there_is_a_warning_and_no_refusal(count: int, is_near: bool) -> None:
    now, account = (
        datetime.now(timezone.utc),
        AccountInfo(
            username="tester", user_id="u", balance=90.0, payment_address="5", permissions=(), may_publish=False
        ),
    )
    images = [replace(IMAGE, created_at=now - timedelta(hours=1))] * count + [
        replace(IMAGE, created_at=now - timedelta(days=2)), IMAGE,
    ] * 30  # fmt: skip
    uploads = [*find_upload_problems(account, None, "m", sdk_version="0.6.9", own_images=images)]
    chutes = [
        build_chute(f"n{index}", created_at=now.isoformat(), updated_at=now.isoformat()) for index in range(count)
    ]
    deployments = [*find_chute_problems(build_description(), chutes)]
    if is_near:
        assert_one_problem(uploads, f"at least {count} of the 24 builds", severity="warning", rule="build-limit")
        assert_one_problem(deployments, f"at least {count} of the 24", severity="warning", rule="daily-limit")
    else:
        assert uploads == deployments == []


@pytest.mark.parametrize(
    ("version", "is_old"), [("0.3.60", True), ("0.3.61", False), ("0.6.11rc2", False), ("x", True)]
)
def test_an_sdk_that_the_platform_does_not_accept(version: str, is_old: bool) -> None:
    account = AccountInfo(
        username="tester", user_id="u", balance=90.0, payment_address="5", permissions=(), may_publish=False
    )
    problems = [*find_upload_problems(account, None, "m", sdk_version=version)]
    if is_old:
        assert_one_problem(problems, f"chutes {version}", "0.3.61", rule="sdk-version")
    else:
        assert problems == []


def test_a_deployment_updates_the_chute_of_its_name_before_one_that_only_matches() -> None:
    chutes = [build_chute("my-chat"), build_chute("my_chat"), build_chute("other")]
    for name, updated in (("my_chat", "my_chat"), ("my_cha_", "my-chat"), ("MY-CHAT", "my-chat"), ("new", None)):
        found = find_updated_chute(name, chutes)
        assert (found and found.name) == updated


PNG, JPEG, GIF, WEBP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\x10\x00\x00\x00WEBPVP8 "
SVG = b'<?xml version="1.0"?>\n<!-- a logo -->\n<SVG xmlns="http://www.w3.org/2000/svg"/>'


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.png", PNG, None), ("a.jpg", JPEG, None), ("a.gif", GIF, None), ("a.webp", WEBP, None), ("a", PNG, None),
        ("a.jpg", PNG + b"<svg", None),
        ("a.svg", SVG, "an SVG file"), ("a.png", SVG, "an SVG file"), ("a.svg", b"", "empty"),
        ("a.svg", b"<!-- no tag in sight -->", "an SVG file"), ("a.png", b"text", "not an image"),
        ("a.wav", b"RIFF\x10\x00\x00\x00WAVEfmt ", "not an image"), ("a.png", b"", "empty"),
        ("a.txt", PNG, "uploaded as text/plain"), ("a.svg", PNG, "uploaded as image/svg+xml"),
        ("a.bmp", b"BM\x00", "not an image"),
    ],
)  # fmt: skip
def test_a_logo_must_be_an_image_that_the_platform_accepts(
    tmp_path: Path, name: str, content: bytes, expected: str | None
) -> None:
    logo = tmp_path / name
    logo.write_bytes(content)
    problems = [*find_logo_problems(logo)]
    if expected is None:
        assert problems == []
    else:
        assert_one_problem(problems, expected, "PNG, JPEG, GIF or WebP")
        assert "Uploaded logo is not an image!" in problems[0].what
    assert [problem.what for problem in find_logo_problems(tmp_path / "none.png")] == [
        "the logo cannot be read (No such file or directory)"
    ]
