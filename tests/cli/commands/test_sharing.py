"""Who a chute is shared with: only the user that was named."""

from __future__ import annotations

import pytest

from chutes_wrappers.cli.commands.sharing import check_recipient, find_other_recipient, report_share
from chutes_wrappers.core.errors import ConfigurationError

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
