"""How often a deployment is sent, and what the user is asked, by what the SDK prints."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from chutes_wrappers.cli import deployment_fee, prompts, sdk_upload
from chutes_wrappers.cli.commands import deploy
from chutes_wrappers.cli.sdk_upload import UploadOptions
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.host.platform_api.objects import ChuteInfo, parse_chute
from chutes_wrappers.host.pricing import find_hourly_price

NOTICE = (
    "DEPLOYMENT FEE NOTICE:\n===\nThere is a deployment fee of (hourly price per GPU * number of GPUs * 3), which for this "
    "configuration is: $0.6000000000000001\n To acknowledge this fee, deploy with --accept-fee."
)
CHUTE = parse_chute({"chute_id": "1", "name": "case", "version": "1"})


class Platform:
    """A platform for which the SDK prints ``errors``, one for each deployment; ``sent`` are the arguments of each."""

    def __init__(self, *errors: str, chute: ChuteInfo | None = CHUTE) -> None:
        self.errors = iter(errors)
        self.chute = chute
        self.sent: list[list[str]] = []
        self.questions: list[str] = []

    def run_upload(self, stage: Any, arguments: list[str], progress: Any, variables: Any) -> str:
        self.sent.append(arguments[2:])
        return next(self.errors)

    def deploy(self, *fee_arguments: str, before: ChuteInfo | None = None) -> ChuteInfo:
        stage, facts = (
            SimpleNamespace(reference="m:chute"),
            SimpleNamespace(manifest_path=SimpleNamespace(name="m.json")),
        )
        definition = {"name": "case", "cords": []}
        arguments = (
            cast(Any, self),
            cast(Any, stage),
            cast(Any, facts),
            definition,
            before,
            fee_arguments,
            UploadOptions(),
        )
        return deploy.deploy_stage(*arguments, payment_address="5Pay")


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(*errors: str, chute: ChuteInfo | None = CHUTE, reply: bool | None = None) -> Platform:
        platform = Platform(*errors, chute=chute)
        monkeypatch.setattr(sdk_upload, "run_upload", platform.run_upload)
        monkeypatch.setattr(deploy, "find_listed_chute", lambda api, name: platform.chute)
        monkeypatch.setattr(deploy, "find_own_chute", lambda api, name: platform.chute)
        monkeypatch.setattr(deploy, "refresh_chute", lambda api, chute: platform.chute)
        monkeypatch.setattr(prompts, "is_possible", lambda: reply is not None)

        def confirm(question: str) -> bool | None:
            platform.questions.append(question)
            return reply

        monkeypatch.setattr(prompts, "confirm", confirm)
        return platform

    return make


def test_the_question_has_the_platforms_own_amount_and_lines(serve: Any, capsys: pytest.CaptureFixture[str]) -> None:
    platform = serve(NOTICE, "", reply=True)
    assert platform.deploy() == CHUTE
    assert platform.sent == [[], ["--accept-fee"]]
    assert platform.questions == ["The first deployment of case costs $0.60 once. Deploy it?"]
    assert "configuration is: $0.6000000000000001" in capsys.readouterr().err


def test_a_no_and_no_terminal_send_nothing_more(serve: Any) -> None:
    refused = serve(NOTICE, reply=False)
    with pytest.raises(WrapperError, match="the fee was not accepted") as caught:
        refused.deploy()
    assert (caught.value.exit_code, refused.sent) == (1, [[]])
    silent = serve(NOTICE)
    with pytest.raises(ConfigurationError, match=r"costs \$0\.60 once") as caught:
        silent.deploy()
    assert (caught.value.exit_code, silent.sent) == (2, [[]])
    assert caught.value.next_step == "accept it with --accept-fee"
    assert len(str(caught.value.evidence).splitlines()) == 4


def test_a_notice_without_an_amount_shows_its_lines(serve: Any) -> None:
    platform = serve("DEPLOYMENT FEE NOTICE: see the website", "", reply=True)
    platform.deploy()
    assert platform.questions == [
        "The first deployment of case costs the fee in the platform's notice once. Deploy it?"
    ]


def test_an_interrupted_deployment_may_have_arrived(
    serve: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*arguments: Any) -> str:
        raise KeyboardInterrupt

    platform = serve()
    monkeypatch.setattr(sdk_upload, "run_upload", interrupt)
    with pytest.raises(KeyboardInterrupt):
        platform.deploy("--accept-fee")
    assert "may have deployed it nevertheless: --status case shows the version" in capsys.readouterr().err


def test_an_account_without_a_fee_is_deployed_at_once(serve: Any, capsys: pytest.CaptureFixture[str]) -> None:
    platform = serve("", reply=False)
    assert platform.deploy() == CHUTE
    assert (platform.sent, platform.questions) == ([[]], [])
    assert "asked for no fee" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        "ServerDisconnectedError: Server disconnected",
        "ContentTypeError: 502, message='…', url='http://127.0.0.1/chutes/?accept_fee=false'",
        "The deployment fee, based on your node selector, is $0.6, but you have a balance of 0.0.\nPlease top up your account",
    ],
)
def test_nothing_is_sent_again_after_another_error(serve: Any, error: str) -> None:
    """A lost response may be of a deployment that succeeded: the API is asked."""
    lost = serve(error, reply=True)
    assert lost.deploy() == CHUTE
    failed = serve(error, chute=None, reply=True)
    with pytest.raises(WrapperError, match="did not accept"):
        failed.deploy()
    assert (lost.sent, failed.sent, lost.questions + failed.questions) == ([[]], [[]], [])


def test_an_accepted_fee_is_sent_at_once_and_not_asked_for_again(serve: Any) -> None:
    platform = serve(NOTICE, chute=None, reply=True)
    with pytest.raises(WrapperError, match="did not accept") as caught:
        platform.deploy("--accept-fee")
    assert (platform.sent, platform.questions) == ([["--accept-fee"]], [])
    assert "did not take the acceptance" in str(caught.value.next_step)


def test_an_update_without_balance_names_the_address(serve: Any) -> None:
    platform = serve("Your balance is $-1.0: please top up")
    with pytest.raises(WrapperError, match="still at version 1") as caught:
        platform.deploy(before=CHUTE)
    assert "pay in with TAO to 5Pay" in str(caught.value.next_step)


@pytest.mark.parametrize(
    ("count", "text"),
    [(1, "costs about $5.40 once (estimate by"), (2, "costs about $10.80, up to $21.60, once (estimate by")],
)
def test_what_accept_fee_accepts_is_an_estimate(count: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    deployment_fee.report_accepted_fee("case", find_hourly_price({"gpu_count": count, "include": ["pro_6000"]}))
    deployment_fee.report_accepted_fee("case", None)
    shown = capsys.readouterr().err
    assert (text in shown, "2026-08" in shown, "only the platform knows" in shown) == (True, True, True)
