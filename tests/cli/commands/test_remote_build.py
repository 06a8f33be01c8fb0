"""What ``--build`` says about a base that only one of the platform's forges builds on."""

from __future__ import annotations

from pathlib import Path

import pytest

from chutes_wrappers.cli import build_following, prompts
from chutes_wrappers.cli.commands import listing, remote_build, status
from chutes_wrappers.cli.sdk_upload import UploadOptions
from chutes_wrappers.core.base_images import format_refusal
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host import upload_records
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.objects import AccountInfo, ImageInfo, parse_chute, parse_image
from chutes_wrappers.host.preflight.account import find_deployment_problems, find_upload_problems

REFUSED = f"error: {format_refusal(['vendor/app:1'])}"

ACCOUNT = AccountInfo(
    username="tester", user_id="u", balance=100.0, payment_address="5Pay", permissions=(), may_publish=False
)


def make_image(image_status: str) -> ImageInfo:
    return parse_image({"image_id": "1", "name": "ocr", "tag": "v1", "status": image_status})


@pytest.mark.parametrize(
    ("is_yes", "has_terminal", "reply", "asked"),
    [(False, True, True, 1), (False, True, False, 1), (True, True, False, 0), (False, False, False, 0)],
)
def test_a_terminal_without_yes_is_asked(
    monkeypatch: pytest.MonkeyPatch, is_yes: bool, has_terminal: bool, reply: bool, asked: int
) -> None:
    questions: list[str] = []
    monkeypatch.setattr(prompts, "is_possible", lambda: has_terminal)

    def confirm(question: str) -> bool:
        questions.append(question)
        return reply

    monkeypatch.setattr(prompts, "confirm", confirm)
    if asked and not reply:
        with pytest.raises(WrapperError, match="ocr:v1 was not uploaded") as failure:
            remote_build._confirm_base("ocr:v1", UploadOptions(yes=is_yes))
        assert "--yes" in (failure.value.next_step or "")
    else:
        remote_build._confirm_base("ocr:v1", UploadOptions(yes=is_yes))
    assert len(questions) == asked


def test_a_refusal_has_the_way_on_in_every_command() -> None:
    image = make_image(REFUSED)
    error = build_following._make_build_error(image, "the log")
    upload = [*find_upload_problems(ACCOUNT, image, "deploy_ocr", sdk_version="0.6.9")]
    deployment = [*find_deployment_problems(ACCOUNT, image, reference="ocr:v1", module="m", public=False, fee=None)]
    steps = [error.next_step or "", *(problem.fix for problem in (*upload, *deployment))]
    assert len(steps) == 3
    for step in steps:
        assert "--delete-image ocr:v1" in step
        assert "such as parachutes/python:3.12" in step
    assert REFUSED in error.what


def test_any_other_failure_is_corrected() -> None:
    image = make_image("error: exit code 1")
    error = build_following._make_build_error(image, "the log")
    (upload,) = find_upload_problems(ACCOUNT, image, "deploy_ocr", sdk_version="0.6.9")
    assert (error.next_step or "").startswith("correct what the lines above report, run --delete-image ocr:v1")
    assert upload.fix == "run --delete-image ocr:v1, then build again"


def test_a_listed_refusal_has_the_way_on(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    record = {"image_id": "1", "name": "ocr", "tag": "v1", "status": REFUSED}
    status._print_chute(parse_chute({"chute_id": "1", "name": "ocr", "image": record}), "https://ocr.example")
    shown = " ".join(capsys.readouterr().err.split())
    assert "--delete-image ocr:v1" in shown
    monkeypatch.setattr(api_client, "connect", lambda: _Connection())
    monkeypatch.setattr(listing, "list_visible_images", lambda api: [record])
    assert listing.list_images(as_json=False) == 0
    assert "--delete-image ocr:v1" in " ".join(capsys.readouterr().err.split())


class _Connection:
    def __enter__(self) -> None: ...

    def __exit__(self, *raised: object) -> None: ...


@pytest.mark.parametrize("is_same", [True, False, None])
def test_joining_the_build_of_other_content_is_a_warning(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_same: bool | None
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    facts = ModuleFacts(
        path=tmp_path / "deploy_ocr.py", chute_name="ocr", chute_tag="v1", base_image="b", service_ports=(8020,)
    )
    remote_build._join_build(make_image("building"), "c1", facts, is_same)
    shown = " ".join(capsys.readouterr().err.split())
    assert "following that build" in shown
    assert ("deploy_ocr.py, its manifest or this package changed" in shown) == (is_same is False)
    assert upload_records.compare_upload("1", "c1", None) is (True if is_same is None else None)
