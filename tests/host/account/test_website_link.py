"""Logins by a fingerprint at servers that respond in another form than the emulator."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.account import website_link
from chutes_wrappers.host.platform_api.api_client import PlatformApi

URL, FINGERPRINT = "http://127.0.0.1:1", "canary-fingerprint"


def test_a_login_that_returns_a_token_is_followed_by_a_request_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlatformApi, "post", lambda *arguments, **options: {"token": "canary-token"})

    def get(api: PlatformApi, path: str, *arguments: object, **options: object) -> dict[str, Any]:
        headers = api._credentials.headers(None, "me")
        assert (path, headers) == ("/users/me", {"Authorization": "Bearer canary-token"})
        return {"username": "web", "user_id": "u", "hotkey": None}

    monkeypatch.setattr(PlatformApi, "get", get)
    login = website_link.log_in(URL, FINGERPRINT)
    assert (login.username, login.user_id, login.hotkey) == ("web", "u", "")
    assert "canary" not in repr(login)


@pytest.mark.parametrize("response", [{"detail": "canary"}, {"token": "canary\u20ac"}, {"token": "canary\r\nX: y"}])
def test_a_login_that_names_nobody_is_an_error(monkeypatch: pytest.MonkeyPatch, response: dict[str, str]) -> None:
    monkeypatch.setattr(PlatformApi, "post", lambda *arguments, **options: response)
    with pytest.raises(WrapperError, match="does not name the account") as caught:
        website_link.log_in(URL, FINGERPRINT)
    assert "canary" not in str(caught.value)
