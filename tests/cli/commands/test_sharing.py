"""Who a chute is shared with: only the user that was named."""

from __future__ import annotations

from typing import cast

import pytest

from chutes_wrappers.cli.commands import sharing
from chutes_wrappers.cli.commands.sharing import check_recipient, check_secret_name, find_other_recipient, report_share
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.overruled_rules import VARIABLE
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from chutes_wrappers.host.platform_api.chute_secrets import SecretSlot

USER_ID = "11111111-2222-4333-8444-555555555555"


@pytest.mark.parametrize("user", ["second", "Second-2", USER_ID, USER_ID.upper()])
def test_a_name_without_wildcards_and_an_id_are_certain(user: str) -> None:
    check_recipient(user)


@pytest.mark.parametrize("user", ["b_b_x", "_ob", "%", "b%b", "", "a", "x" * 16, "a b", "bob\n", "a/b", "böb"])
def test_other_names_are_rejected_with_the_way_to_name_the_user(user: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_recipient(user)
    assert "id" in str(caught.value.next_step)


@pytest.mark.parametrize(
    ("status", "user", "other"),
    [
        ("Successfully shared chute case with second", "second", None),
        ("Successfully shared chute case with Second", "second", "Second"),
        ("Successfully shared chute.name='case' with user.username='bob-x'", "bob-x", None),
        ("Successfully shared chute.name='case' with user.username='bob_x'", "bob-x", "bob_x"),
        ("Successfully shared chute with second with third", "second", "third"),
        ("Successfully shared chute case with second", USER_ID, None),
        ("done", "second", None),
        ("", "second", None),
    ],
)
def test_another_user_in_the_response_is_found(status: str, user: str, other: str | None) -> None:
    assert find_other_recipient(status, user) == other


@pytest.mark.parametrize(
    ("status", "user", "is_certain"),
    [
        ("Shared case with second", "second", True),
        ("", USER_ID, True),
        ("done", "second", False),
        ("", "second", False),
    ],
)
def test_a_share_whose_recipient_is_not_named_is_no_success(
    status: str, user: str, is_certain: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    report_share("case", user, status)
    printed = capsys.readouterr().err
    assert ("✓" in printed, "may be another user" in printed) == (is_certain, not is_certain)


@pytest.mark.parametrize("key", ["LD_PRELOAD", "MY_PYTHON", "sglang_key", "SGL_TOKEN", "HTTPS_PROXY"])
def test_a_banned_secret_is_refused_before_it_is_sent(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ConfigurationError, match=f"403 'Banned secret key: {key}'"):
        check_secret_name(key)
    monkeypatch.setenv(VARIABLE, "secret-name")
    check_secret_name(key)


@pytest.mark.parametrize(
    ("key", "warns"), [("PYTHONPATH", True), ("UV_PYTHON", True), ("HF_TOKEN", False), ("UV_X", False)]
)
def test_a_secret_that_may_be_an_exception_is_a_warning(
    key: str, warns: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    check_secret_name(key)
    assert (f"the platform may refuse the secret {key}" in capsys.readouterr().err) is warns


@pytest.mark.parametrize(
    ("interrupted", "text"), [("remove_secret", "may have been deleted"), ("store_secret", "was deleted before")]
)
def test_an_interrupted_replacement_says_what_became_of_the_old_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], interrupted: str, text: str
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    slot = SecretSlot(chute_id="1a42e2ae-9de2-5146-9a55-9d0a0dd82028", name="one", key="TOK")
    monkeypatch.setattr(sharing, "remove_secret", lambda *arguments: None)
    monkeypatch.setattr(sharing, interrupted, interrupt)
    with pytest.raises(KeyboardInterrupt):
        sharing._replace(cast(PlatformApi, None), slot, "s-1", "canary")
    shown = capsys.readouterr().err
    assert text in shown
    assert "canary" not in shown
