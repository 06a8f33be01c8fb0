"""Every request of an account's set-up with every fault is an error with a fitting next step and without a secret."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.account import account_variables, key_access, registration, website_link
from chutes_wrappers.host.account.credentials import SeedCredentials
from chutes_wrappers.host.account.keypairs import keypair_from_seed
from chutes_wrappers.host.account.wallets import Hotkey
from chutes_wrappers.host.account.website_link import WebsiteLogin
from chutes_wrappers.host.platform_api import api_client, http_adapters
from tests.upstreams.platform_faults import FAULTS, Fault, FaultyPlatform, serve_faulty_platform
from tests.upstreams.scripted import serve_script

SEED, FINGERPRINT, KEY, TOKEN = "ab" * 32, "fingerprint/canary+1", "cpk_canary.key", "token/canary=="
SECRETS = (SEED, FINGERPRINT, KEY, TOKEN, "canary")
HOTKEY = Hotkey(wallet="w", name="h", address=keypair_from_seed(SEED).ss58_address, coldkey="5Cold", seed=SEED)


def build_login(url: str) -> WebsiteLogin:
    return WebsiteLogin(url=url, fingerprint=FINGERPRINT, username="tester", user_id="u", hotkey="5Other")


def create_key(url: str) -> object:
    timeout_s = api_client.read_request_timeout_s()
    with api_client.PlatformApi(url, SeedCredentials(seed=SEED), timeout_s=timeout_s) as api:
        return key_access.create_key(api, "invoke", [])


def list_keys(url: str) -> object:
    with api_client.PlatformApi(url, SeedCredentials(seed=SEED), timeout_s=api_client.read_request_timeout_s()) as api:
        return key_access.list_keys(api)


REQUESTS: dict[str, Callable[[str], object]] = {
    "ping": registration.check_reachable,
    "register": lambda url: registration.register_account(url, "tester", HOTKEY, TOKEN),
    "login": lambda url: website_link.log_in(url, FINGERPRINT),
    "give-hotkey": lambda url: website_link.give_hotkey(build_login(url), HOTKEY),
    "owner-of-key": lambda url: registration.link_account(url, KEY, HOTKEY),
    "account-of-hotkey": lambda url: registration.fetch_account(url, SEED, "u"),
    "account-of-variables": lambda url: account_variables.fetch_account_of_variables(
        account_variables.AccountVariables(url=url, hotkey=HOTKEY, username="", user_id="")
    ),
    "list-keys": list_keys,
    "create-key": create_key,
}
CASES = [
    pytest.param(fault, name, id=f"{fault.name}-{name}")
    for fault in FAULTS
    for name in REQUESTS
    if name != "ping" or not fault.name.startswith(("200", "truncated"))  # any 2xx shows that the API is reachable
]
# Commands that need an account, or are about chutes and images.
FOREIGN_STEPS = ("--status", "--list-", "with --account", ": --account shows")


@pytest.fixture(scope="module")
def platform() -> Iterator[FaultyPlatform]:
    with serve_script({}) as nothing, serve_faulty_platform(nothing.root) as server:
        yield server


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_adapters, "_RETRY", http_adapters._RETRY.new(backoff_factor=0))


@pytest.mark.parametrize(("fault", "request_name"), CASES)
def test_a_fault_has_a_next_step_of_set_ups_and_no_secret(
    platform: FaultyPlatform, fault: Fault, request_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(api_client.TIMEOUT_VARIABLE, "0.2" if fault.name == "hang" else "60")
    with platform.failing(fault), pytest.raises(WrapperError) as caught:
        REQUESTS[request_name](platform.url)
    error = caught.value
    assert error.next_step
    assert error.exit_code in (1, 2)
    assert not [secret for secret in SECRETS if secret in str(error)]
    assert not [step for step in FOREIGN_STEPS if step in str(error.next_step)]
    changes = [each for each in platform.received if each.changes]
    assert len(changes) <= 1 or (request_name, fault.name) == ("create-key", "409")


@pytest.mark.parametrize(
    ("request_name", "status", "step"),
    [
        ("register", 403, "CHUTES_REGISTRATION_TOKEN to a new token"),
        ("register", 403, "valid for 5 minutes"),
        ("register", 402, "send at least 0.25 TAO to the coldkey 5Cold"),
        ("register", 429, "register again tomorrow"),
        ("login", 401, "copy the fingerprint again"),
        ("login", 429, "wait some minutes"),
        ("give-hotkey", 401, "copy the fingerprint again"),
        ("give-hotkey", 409, "choose another wallet, or create one with --wallet new"),
        ("give-hotkey", 502, "--fingerprint --wallet w/h again"),
        ("owner-of-key", 401, "an admin API key of the account"),
        ("account-of-hotkey", 404, "check CHUTES_API_URL"),
        ("account-of-variables", 401, "set CHUTES_USER_ID too"),
        ("create-key", 409, "delete keys that are not used"),
        ("create-key", 502, "if chutes-wrappers exists, delete it"),
    ],
)
def test_the_next_step_is_about_the_request(
    platform: FaultyPlatform, request_name: str, status: int, step: str
) -> None:
    fault = next(each for each in FAULTS if each.name == str(status))
    with platform.failing(fault), pytest.raises(WrapperError) as caught:
        REQUESTS[request_name](platform.url)
    assert step in str(caught.value.next_step)
