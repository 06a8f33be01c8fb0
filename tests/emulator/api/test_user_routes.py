"""Registration, and authentication of every route."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from chutes_wrappers.core import overruled_rules
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.api.context import NewAccounts
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from chutes_wrappers.host.account.keypairs import keypair_from_seed
from tests.emulator.tokens import TOKEN

from .client import Client, make_bearer_header

FAR_NONCE = "1"


def test_ping_needs_no_account(platform: RunningPlatform) -> None:
    assert requests.get(f"{platform.url}/ping", timeout=60).status_code == 200


def test_the_registered_user_is_returned(user: Client) -> None:
    me = user.get("/users/me", "me").json()
    assert (me["username"], me["user_id"]) == ("tester", user.account.user_id)
    assert (me["hotkey"], me["balance"], me["permissions_bitmask"], me["permissions"]) == (
        *(user.account.hotkey, 100.0, 0, []),
    )


def test_a_permission_is_shown_as_the_sdk_reads_it(platform: RunningPlatform, user: Client) -> None:
    platform.state.users.set_permissions(user.account.user_id, 1 << 11)
    me = user.get("/users/me", "me").json()
    assert me["permissions_bitmask"] & 1 << 11
    assert me["permissions"] == ["Allow deploying models publicly."]


def test_usernames_are_unique_case_insensitively(user: Client) -> None:
    with pytest.raises(WrapperError, match="409") as refused:
        accounts.register(user.url, "TESTER", TOKEN)
    assert "already exists" in (refused.value.evidence or "")


@pytest.mark.parametrize("name", ["ab", "a" * 16, "with space", "with.dot", ""])
def test_invalid_names_are_rejected(platform: RunningPlatform, name: str) -> None:
    with pytest.raises(WrapperError, match="400"):
        accounts.register(platform.url, name, TOKEN)


def test_a_hotkey_registers_once(user: Client) -> None:
    response = user.post("/users/register", {"username": "second", "coldkey": user.account.hotkey}, token=TOKEN)
    assert (response.status_code, response.json()["detail"]) == (409, "This hotkey is already registered to a user!")


@pytest.mark.parametrize(
    ("body", "token", "status"),
    [
        ({"username": "second"}, TOKEN, 422),
        ({"username": "second", "coldkey": "x"}, "", 400),
    ],
)
def test_invalid_registrations_are_rejected(user: Client, body: dict[str, str], token: str, status: int) -> None:
    assert user.post("/users/register", body, token=token).status_code == status


def test_an_unsigned_registration_is_rejected(platform: RunningPlatform) -> None:
    response = requests.post(
        f"{platform.url}/users/register?token={TOKEN}", json={"username": "second", "coldkey": "x"}, timeout=10
    )
    assert response.status_code == 401


ROUTES = [
    *[("GET", path) for path in ("/users/me", "/images/", "/images/x", "/images/x/logs", "/images/a/b")],
    *[("GET", path) for path in ("/chutes/warmup/x", "/api_keys/", "/secrets/", "/instances/x", "/instances/x/logs")],
    *[("DELETE", path) for path in ("/images/x", "/chutes/x", "/api_keys/x", "/secrets/x")],
    *[("POST", path) for path in ("/images/", "/logos/")],
    ("PUT", "/chutes/x"),
]


def test_every_route_needs_an_account(user: Client) -> None:
    stranger = Client(user.url, accounts.Account(**{**vars(user.account), "seed": accounts.generate_seed()}))
    stale = {**user.headers(purpose="images"), "X-Chutes-Nonce": str(int(time.time()) - 700)}
    for method, path in ROUTES:
        for headers in (
            {},
            stranger.headers(purpose=path.split("/")[1]),
            stale,
            make_bearer_header("cpk_x"),
            make_bearer_header("other"),
        ):
            response = requests.request(method, f"{user.url}{path}", headers=headers, timeout=60)
            assert (response.status_code, list(response.json())) == (401, ["detail"]), (method, path, headers)


def test_an_unknown_path_is_hidden_from_those_without_an_account(user: Client) -> None:
    for method, path in (("GET", "/other"), ("PUT", "/images/"), ("PATCH", "/chutes/x")):
        nobody = requests.request(method, user.url + path, timeout=60)
        assert (nobody.status_code, nobody.json()) == (401, {"detail": "Authentication required."}), path
        own = requests.request(method, user.url + path, headers=user.headers(purpose="x"), timeout=60)
        assert own.status_code in (404, 405), path


def test_without_an_account_only_public_chutes_are_shown(user: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    user.build_and_wait("open", "v1", public="True")
    user.deploy(image="open:v1")
    monkeypatch.setenv(overruled_rules.VARIABLE, "public-chute")
    public_id = user.deploy(name="shown", image="open:v1", public=True).json()["chute_id"]
    stranger = Client(user.url, accounts.Account(**{**vars(user.account), "seed": accounts.generate_seed()}))
    for headers in ({}, stranger.headers(purpose="chutes")):
        listed = requests.get(f"{user.url}/chutes/", headers=headers, timeout=60).json()
        assert [chute["name"] for chute in listed["items"]] == ["shown"]
        assert requests.get(f"{user.url}/chutes/{public_id}", headers=headers, timeout=60).ok
        assert requests.get(f"{user.url}/chutes/case", headers=headers, timeout=60).status_code == 404
    for headers in (user.headers(purpose="me"), make_bearer_header("cpk_x")):
        assert requests.get(f"{user.url}/chutes/", headers=headers, timeout=60).status_code == 401


def test_a_registration_needs_the_deposit_unless_the_coldkey_cannot_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts_rules = NewAccounts(coldkey_tao=0.2, registrations_per_day=1)
    settings = Settings(folder=tmp_path, docker=False, registration_token=TOKEN, new_accounts=accounts_rules)
    with run_platform(settings) as platform:
        with pytest.raises(WrapperError, match="402") as refused:
            accounts.register(platform.url, "first", TOKEN)
        assert "0.25 TAO" in (refused.value.evidence or "")
        monkeypatch.setenv(overruled_rules.VARIABLE, "registration-deposit")
        accounts.register(platform.url, "first", TOKEN)
        with pytest.raises(WrapperError, match="429"):
            accounts.register(platform.url, "second", TOKEN)


def test_a_fingerprint_logs_in_and_gives_the_account_its_keys(platform: RunningPlatform, user: Client) -> None:
    seed, other = accounts.generate_seed(), Client.register(user.url, "second")
    signer = accounts.Account(**{**vars(user.account), "username": "web", "seed": seed, "user_id": ""})
    made = Client(user.url, signer).post("/users/register", {"username": "web", "coldkey": "c"}, token=TOKEN).json()

    def change(fingerprint: str, **keys: str) -> requests.Response:
        headers = {"Authorization": fingerprint}
        return requests.post(f"{user.url}/users/change_bt_auth", json=keys, headers=headers, timeout=60)

    login = requests.post(f"{user.url}/users/login", json={"fingerprint": made["fingerprint"]}, timeout=60)
    assert (login.status_code, login.json()["user_id"]) == (200, made["user_id"])
    assert requests.post(f"{user.url}/users/login", json={"fingerprint": "x"}, timeout=60).status_code == 401
    assert change("wrong", hotkey="h").status_code == 401
    assert change(made["fingerprint"], hotkey=other.account.hotkey).status_code == 409
    new = accounts.generate_seed()
    hotkey = keypair_from_seed(new).ss58_address
    assert change(made["fingerprint"], hotkey=hotkey).json()["hotkey"] == hotkey
    assert change(made["fingerprint"], coldkey="d").json()["coldkey"] == "d"
    linked = Client(user.url, accounts.Account(**{**vars(signer), "seed": new, "user_id": made["user_id"]}))
    assert linked.get("/users/me", "me").json()["username"] == "web"


def test_the_user_id_must_be_the_signers(user: Client) -> None:
    other = Client.register(user.url, "second")
    headers = {**user.headers(purpose="me"), "X-Chutes-UserID": other.account.user_id}
    assert requests.get(f"{user.url}/users/me", headers=headers, timeout=60).status_code == 401


def test_a_body_that_was_changed_in_transit_is_rejected(user: Client) -> None:
    headers = {**user.headers(b'{"name": "a"}'), "Content-Type": "application/json"}
    changed: Any = json.dumps({"name": "b", "admin": True})
    assert requests.post(f"{user.url}/api_keys/", data=changed, headers=headers, timeout=60).status_code == 401


def test_the_configuration_file_is_complete_and_private(user: Client, tmp_path: Path) -> None:
    path = tmp_path / "made" / "config.ini"
    accounts.write_config(user.account, user.url, path)
    accounts.write_config(user.account, user.url, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert f"hotkey_seed = {user.account.seed}" in path.read_text()
    assert list(path.parent.iterdir()) == [path]
    assert user.account.seed not in repr(user.account)


def test_an_account_is_created_once_and_then_read(platform: RunningPlatform, tmp_path: Path) -> None:
    path = tmp_path / "config.ini"
    first = accounts.ensure_config(platform.url, "tester", path, TOKEN)
    again = accounts.ensure_config("http://127.0.0.1:1", "other", path, TOKEN)
    assert (first, again.seed) == (again, first.seed)
    assert "base_url = http://127.0.0.1:1" in path.read_text()
    path.write_text("hotkey_seed = 5a5a")
    with pytest.raises(ConfigurationError) as refused:
        accounts.ensure_config(platform.url, "tester", path, TOKEN)
    assert "5a5a" not in str(refused.value)
