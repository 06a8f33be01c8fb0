"""Who a chute is shared with: only the user that was named."""

from __future__ import annotations

import pytest

from chutes_wrappers.cli.commands.sharing import check_recipient, check_secret_name, find_other_recipient, report_share
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.overruled_rules import VARIABLE

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
