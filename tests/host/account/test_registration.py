"""What to do after each refusal of a registration."""

from __future__ import annotations

from typing import NoReturn

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.overruled_rules import VARIABLE
from chutes_wrappers.host.account import registration
from chutes_wrappers.host.account.wallets import Hotkey
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed

HOTKEY = Hotkey(wallet="w", name="h", address="5Hot", seed="0" * 64, coldkey="5Cold")


@pytest.mark.parametrize(
    ("status", "detail", "step"),
    [
        (400, "Missing registration token in URL query params", "CHUTES_REGISTRATION_TOKEN"),
        (400, "Username must be 3-15 characters", "as before"),
        (402, "not enough", "send at least 0.25 TAO to the coldkey 5Cold"),
        (403, "Invalid token", "CHUTES_REGISTRATION_TOKEN"),
        (409, "This hotkey is already registered to a user!", "choose another wallet"),
        (409, "Username hotkey already exists, sorry!", "choose another username"),
        (429, "slow down", "register again tomorrow: the platform accepts 3 registrations"),
        (500, "", "the platform failed. Then register again with --wallet w/h"),
    ],
)
def test_the_next_step_after_a_refusal(status: int, detail: str, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> NoReturn:
        raise PlatformRequestFailed(
            "failed", status=status, where="the platform", evidence=detail, next_step="as before"
        )

    monkeypatch.setattr(PlatformApi, "post", refuse)
    monkeypatch.setattr(PlatformApi, "get", refuse)
    with pytest.raises(PlatformRequestFailed) as caught:
        registration.register_account("http://127.0.0.1:1", "tester", HOTKEY, "token")
    assert step in str(caught.value.next_step)


def test_a_username_may_have_a_dash_and_the_rule_can_be_overruled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert registration.check_username("a-b") == "a-b"
    with pytest.raises(ConfigurationError, match="not a valid username"):
        registration.check_username("a b")
    monkeypatch.setenv(VARIABLE, "username")
    assert registration.check_username("a b") == "a b"
