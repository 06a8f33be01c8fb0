"""When a deployment succeeded: the API's chute afterwards is compared with the module's definition."""

from __future__ import annotations

from typing import Any, cast

import pytest

from chutes_wrappers.cli import sdk_upload
from chutes_wrappers.cli.commands.deploy import check_deployed, report_deployment
from chutes_wrappers.cli.commands.remote_build import _report_image
from chutes_wrappers.cli.output import Progress
from chutes_wrappers.cli.sdk_upload import UploadOptions
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.platform_api.objects import ChuteInfo, parse_chute, parse_image
from chutes_wrappers.host.sdk_command import SdkTimeout
from chutes_wrappers.host.staging import Stage

CORD = {
    "path": "/cw_post/a",
    "public_api_path": "/a",
    "public_api_method": "POST",
    "method": "PUT",
    "stream": False,
    "passthrough": True,
    "function": "a",
}


def make_chute(*cords: dict[str, Any], version: str = "2") -> ChuteInfo:
    return parse_chute({"chute_id": "1", "name": "case", "version": version, "cords": list(cords)})


def test_a_new_version_with_the_same_cords_is_deployed() -> None:
    check_deployed(make_chute(CORD), None, [CORD], "")
    check_deployed(make_chute(CORD), make_chute(CORD, version="1"), [CORD], "")


def test_the_same_version_counts_as_deployed_only_when_the_platform_reports_it() -> None:
    check_deployed(
        make_chute(CORD), make_chute(CORD), [CORD], "Chute with name=case, version=2 and public=False already exists"
    )
    with pytest.raises(WrapperError, match="still at version 2") as caught:
        check_deployed(make_chute(CORD), make_chute(CORD), [CORD], "Insufficient balance")
    assert caught.value.evidence == "Insufficient balance"


def test_a_chute_that_does_not_exist_was_not_accepted() -> None:
    with pytest.raises(WrapperError, match="did not accept"):
        check_deployed(None, None, [CORD], "")


@pytest.mark.parametrize("different", [{"public_api_path": "/b"}, {"stream": True}, {"method": "POST"}])
def test_other_cords_are_named(different: dict[str, Any]) -> None:
    with pytest.raises(WrapperError, match="differ from those of the module") as caught:
        check_deployed(make_chute(CORD), None, [{**CORD, **different}], "")
    assert "/a" in str(caught.value.evidence)
    with pytest.raises(WrapperError, match="differ from those of the module"):
        check_deployed(make_chute(), None, [CORD], "")


def test_cord_fields_missing_in_the_api_are_not_compared() -> None:
    few = {name: CORD[name] for name in ("path", "public_api_path")}
    check_deployed(make_chute(few), None, [CORD], "")


def test_a_limit_of_the_day_has_its_own_next_step() -> None:
    with pytest.raises(WrapperError, match="did not accept") as caught:
        check_deployed(None, None, [CORD], 'Unexpected error: {"detail": "You may only create 24 chutes per day"}')
    assert "24 creations, updates and deletions" in str(caught.value.next_step)


def make_visible_chute(public: bool, version: str = "2") -> ChuteInfo:
    return parse_chute({"chute_id": "1", "name": "case", "version": version, "public": public, "cords": [CORD]})


@pytest.mark.parametrize("public", [True, False])
@pytest.mark.parametrize("before", [None, make_visible_chute(True, "1"), make_visible_chute(False, "1")])
def test_a_chute_with_another_visibility_than_requested_is_no_success(before: ChuteInfo | None, public: bool) -> None:
    check_deployed(make_visible_chute(public), before, [CORD], "", public=public)
    with pytest.raises(WrapperError, match=r"is (private|public) on the platform, although") as caught:
        check_deployed(make_visible_chute(not public), before, [CORD], "", public=public)
    assert ("--share case USER" if public else "--delete case") in str(caught.value.next_step)


@pytest.mark.parametrize("public", [True, False])
def test_a_change_of_the_visibility_alone_has_the_same_version(
    public: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = make_visible_chute(not public), make_visible_chute(public)
    check_deployed(after, before, [CORD], "", public=public)
    report_deployment(after, before, "https://case.example", UploadOptions(public=public))
    assert f"case is {'public' if public else 'private'} now" in capsys.readouterr().err
    with pytest.raises(WrapperError, match="still at version 2"):
        check_deployed(before, before, [CORD], "Insufficient balance", public=public)
    reported = f"Chute with name=case, version=2 and public={not public} already exists"
    with pytest.raises(WrapperError, match="on the platform, although"):
        check_deployed(before, before, [CORD], reported, public=public)


def test_the_first_deployment_says_when_to_set_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    for before, is_said in ((None, True), (make_chute(CORD, version="1"), False)):
        report_deployment(make_chute(CORD), before, "https://case.example", UploadOptions())
        assert ("--secret case KEY" in capsys.readouterr().err) is is_said


def test_an_image_with_another_visibility_than_requested_is_no_success() -> None:
    image = parse_image({"image_id": "1", "name": "case", "tag": "v1", "status": "built and pushed", "public": False})
    assert _report_image(image, "is built", "deploy_case", UploadOptions()) == 0
    with pytest.raises(WrapperError, match="is private on the platform, although --public was requested"):
        _report_image(image, "is built", "deploy_case", UploadOptions(public=True))


def test_a_command_of_the_sdk_that_does_not_end_in_time_has_an_unknown_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(stage: object, arguments: list[str], **options: object) -> int:
        raise SdkTimeout("`chutes deploy` timed out after 600 s")

    monkeypatch.setattr(sdk_upload, "run_sdk", run)
    sdk_error = sdk_upload.run_upload(cast(Stage, None), ["deploy"], cast(Progress, None), {})
    check_deployed(make_chute(CORD), make_chute(CORD, version="1"), [CORD], sdk_error)
    with pytest.raises(WrapperError, match="still at version 2") as caught:
        check_deployed(make_chute(CORD), make_chute(CORD), [CORD], sdk_error)
    assert "timed out after 600 s" in str(caught.value.evidence)
    assert "check what came of it" in str(caught.value.next_step)
