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


@pytest.mark.parametrize(
    ("status", "detail", "reply"),
    [
        (
            400,
            "Missing registration token in URL query params, please ensure you have upgraded to chutes>=0.3.33",
            "token",
        ),
        (400, "Username must be 3-15 characters and contain only alphanumeric/underscore/dash characters", "username"),
        (400, "Invalid coldkey", "hotkey"),
        (402, "The coldkey needs 0.25 TAO", "hotkey"),
        (403, "Invalid registration token", "token"),
        (401, "The registration token has expired", "token"),
        (401, "Invalid request signature for hotkey 5Hh5", None),
        (409, "Username CARL3521 already exists, sorry! Please choose another.", "username"),
        (409, "This hotkey is already registered to a user!", "hotkey"),
        (429, "", None),
        (500, "Internal Server Error", None),
    ],
)
def test_a_refusal_names_the_reply_to_ask_for_again(status: int, detail: str, reply: str | None) -> None:
    error = PlatformRequestFailed("failed", status=status, where="x", evidence=detail, next_step="y")
    assert registration.find_refused_reply(error) == reply


PUBLIC, OTHER = "https://api.chutes.ai", "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("variable", "url", "is_sent"),
    [
        (None, PUBLIC, True),
        (f"{PUBLIC}/", PUBLIC, True),
        (OTHER, OTHER, True),
        (f"{OTHER}/", OTHER, True),
        (OTHER, PUBLIC, False),  # the file's base_url has priority
        (PUBLIC, OTHER, False),
        ("http://127.0.0.1:8001", OTHER, False),
        (None, OTHER, False),
        ("http://[::1", OTHER, False),
    ],
)
def test_a_token_is_sent_to_the_api_that_it_is_for_only(
    variable: str | None, url: str, is_sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHUTES_REGISTRATION_TOKEN", "token-canary")
    monkeypatch.delenv("CHUTES_API_URL", raising=False)
    if variable is not None:
        monkeypatch.setenv("CHUTES_API_URL", variable)
    if is_sent:
        assert registration.read_token(url) == "token-canary"
        return
    with pytest.raises(ConfigurationError) as caught:
        registration.read_token(url)
    assert "canary" not in str(caught.value)
    assert url in str(caught.value)


@pytest.mark.parametrize(("url", "host"), [(PUBLIC, "https://rtok.chutes.ai"), (OTHER, OTHER)])
def test_a_registration_goes_to_the_registrar_of_its_api(url: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def accept(api: PlatformApi, path: str, *arguments: object, **options: object) -> dict[str, str]:
        assert (api.url, path, options["params"]) == (host, "/users/register", {"token": "t"})
        return {"username": "tester", "user_id": "u"}

    monkeypatch.setattr(PlatformApi, "post", accept)
    assert registration.register_account(url, "tester", HOTKEY, "t").account.url == url


def test_the_needs_of_a_registration_are_those_of_its_api() -> None:
    public, other = (" ".join(registration.describe_needs(url)) for url in (PUBLIC, OTHER))
    for part in ("0.25 TAO that are free", "valid for 5 minutes", "at most 3 registrations"):
        assert part in public
    assert other.startswith("the registration token of this API")
    assert "an emulator needs nothing else" in other
