"""Accounts of the website, of variables and of standard input, set up on a machine with no terminal or with one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
import requests

from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from chutes_wrappers.host.account import wallets
from chutes_wrappers.host.account.keypairs import keypair_from_seed
from tests.commands import Commands
from tests.emulator.tokens import TOKEN
from tests.fork_server import CHUTES
from tests.upstreams.platform_faults import FAULTS, Fault, FaultyPlatform, Handler, serve_faulty_platform

from .newcomers import Newcomer, mode


def lose_response(handler: Handler) -> None:
    """Let the platform handle the request, and cut its response off."""
    handler.forward(handler.server.received[-1].body, at_most=0)
    handler.disconnect()


LOST = Fault("lost", lose_response)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    settings = Settings(registration_token=TOKEN, folder=tmp_path_factory.mktemp("platform"), docker=False)
    with run_platform(settings, HostLauncher()) as platform:
        yield platform


@pytest.fixture(scope="module")
def platform(running: RunningPlatform) -> Iterator[FaultyPlatform]:
    with serve_faulty_platform(running.url) as server:
        yield server


@pytest.fixture
def newcomer(tmp_path: Path, platform: FaultyPlatform) -> Newcomer:
    return Newcomer(tmp_path, platform.url)


class Owner:
    """A user of the website: a name, a fingerprint, and a hotkey that is not on this machine."""

    def __init__(self, newcomer: Newcomer) -> None:
        self.name = f"web-{os.urandom(4).hex()}"
        done = newcomer.run_apart("--register", self.name, "--wallet", "new", "--json")
        self.data: dict[str, Any] = json.loads(done.stdout)
        path = Path(self.data["fingerprint_file"])
        self.fingerprint = path.read_text().strip()
        path.unlink()
        self.config_text = newcomer.config.read_text()
        newcomer.config.unlink()
        (newcomer.home / ".bittensor").rename(newcomer.home / "other-machine")

    @property
    def seed(self) -> str:
        return next(line for line in self.config_text.splitlines() if "seed" in line).rpartition(" ")[2]


@pytest.fixture
def owner(newcomer: Newcomer) -> Owner:
    return Owner(newcomer)


def find_hotkey(platform: FaultyPlatform, owner: Owner) -> str:
    """Return the address that the platform has for the owner."""
    login = requests.post(f"{platform.url}/users/login", json={"fingerprint": owner.fingerprint}, timeout=60)
    return str(login.json()["hotkey"])


def list_texts(newcomer: Newcomer) -> str:
    return "".join(path.read_text() for path in newcomer.config.parent.glob("*") if path.is_file())


def test_a_fingerprint_on_standard_input_gives_the_account_a_new_wallet(
    newcomer: Newcomer, platform: FaultyPlatform, owner: Owner
) -> None:
    done = newcomer.run_apart(
        "--fingerprint", "--wallet", "new", "--yes", "--json", "--key", stdin_text=owner.fingerprint + "\n"
    )
    assert done.code == 0, done.stderr
    data = json.loads(done.stdout)
    assert (data["username"], data["user_id"]) == (owner.name, owner.data["user_id"])
    assert data["hotkey"] == find_hotkey(platform, owner) != owner.data["hotkey"]
    assert data["api_key"]["kind"] == "invoke"
    assert "stop working" in done.stderr
    assert mode(newcomer.config) == 0o600
    assert owner.fingerprint not in done.stdout + done.stderr + list_texts(newcomer)
    listed = Commands(newcomer.home, newcomer.variables, CHUTES).run("chutes", "list")
    assert (listed.code, "error" in listed.stderr.lower()) == (0, False)


def test_an_account_with_this_hotkey_is_unchanged(newcomer: Newcomer, platform: FaultyPlatform, owner: Owner) -> None:
    (newcomer.home / "other-machine").rename(newcomer.home / ".bittensor")
    wallets.create_wallet(newcomer.home / ".bittensor" / "wallets")
    platform.received.clear()
    output_text = newcomer.run("--fingerprint", stdin_text=owner.fingerprint)
    assert "it is unchanged" in output_text
    assert not [each for each in platform.received if "change_bt_auth" in each.path]
    assert newcomer.config.read_text() == owner.config_text
    assert "unchanged, it has this account" in newcomer.run("--fingerprint", stdin_text=owner.fingerprint)
    assert not [*newcomer.config.parent.glob("*.bak-*")]


def test_a_change_without_a_terminal_needs_yes(newcomer: Newcomer, platform: FaultyPlatform, owner: Owner) -> None:
    output_text = newcomer.run("--fingerprint", "--wallet", "new", code=2, stdin_text=owner.fingerprint)
    assert "add --yes" in output_text
    assert find_hotkey(platform, owner) == owner.data["hotkey"]
    assert (newcomer.config.exists(), (newcomer.home / ".bittensor").exists()) == (False, False)


@pytest.mark.parametrize(
    ("fingerprint", "code", "text"),
    [
        ("canary-wrong", 1, "copy the fingerprint again"),
        ("canary wrong", 2, "invalid characters"),
        ("cpk_canary", 2, "this is an API key"),
        ("canary" * 1000, 2, "expected 1 to"),
        ("", 2, "no fingerprint is on standard input"),
    ],
)
def test_a_fingerprint_that_is_refused_is_not_printed(
    newcomer: Newcomer, fingerprint: str, code: int, text: str
) -> None:
    output_text = newcomer.run("--fingerprint", "--wallet", "new", "--yes", code=code, stdin_text=fingerprint)
    assert text in output_text
    assert "canary" not in output_text
    assert not (newcomer.home / ".bittensor").exists()


@pytest.mark.parametrize("arguments", [("--fingerprint", "CANARY"), ("--fingerprint=CANARY",), ("CANARY",)])
def test_a_value_on_the_command_line_is_refused_without_being_printed(
    newcomer: Newcomer, platform: FaultyPlatform, arguments: tuple[str, ...]
) -> None:
    platform.received.clear()
    assert "CANARY" not in newcomer.run(*arguments, code=2, stdin_text="x")
    assert platform.received == []


def test_the_hotkey_of_another_account_is_refused_and_nothing_is_written(
    newcomer: Newcomer, platform: FaultyPlatform, owner: Owner
) -> None:
    newcomer.run("--register", f"x{os.urandom(4).hex()}", "--wallet", "new")
    before = newcomer.config.read_text()
    output_text = newcomer.run("--fingerprint", "--yes", code=1, stdin_text=owner.fingerprint)
    assert "choose another wallet, or create one with --wallet new" in output_text
    assert (find_hotkey(platform, owner), newcomer.config.read_text()) == (owner.data["hotkey"], before)


@pytest.mark.parametrize("path", ["/users/change_bt_auth", "/users/me"])
def test_after_a_lost_response_the_platform_is_asked_what_came_of_it(
    newcomer: Newcomer, platform: FaultyPlatform, owner: Owner, path: str
) -> None:
    with platform.failing(LOST, lambda asked: asked.path == path):
        done = newcomer.run_apart("--fingerprint", "--wallet", "new", "--yes", stdin_text=owner.fingerprint)
    if path == "/users/me":  # without it, the hotkey is not proven: no file
        assert (done.code, newcomer.config.exists()) == (1, False)
        assert "--wallet chutes/default" in done.stderr
        done = newcomer.run_apart("--fingerprint", stdin_text=owner.fingerprint)
    assert done.code == 0, done.stderr
    assert find_hotkey(platform, owner) in newcomer.config.read_text()
    assert owner.fingerprint not in done.stderr


def test_a_registration_whose_response_was_lost_is_found(newcomer: Newcomer, platform: FaultyPlatform) -> None:
    name = f"lost{os.urandom(4).hex()}"
    with platform.failing(LOST, lambda asked: asked.path.startswith("/users/register")):
        output_text = newcomer.run("--register", name, "--wallet", "new")
    assert f"knows this account as {name}" in output_text
    assert "refinger --hotkey-path" in output_text
    newcomer.config.unlink()
    assert f"knows this account as {name}" in newcomer.run("--register", name)  # 409, and it is this account
    assert "choose another wallet: chutes/default has the account" in newcomer.run("--register", "another-name", code=1)


def test_the_wizard_asks_only_for_the_refused_reply_again(newcomer: Newcomer, owner: Owner) -> None:
    taken = wallets.create_wallet(newcomer.home / ".bittensor" / "wallets")
    newcomer.run("--register", f"y{os.urandom(4).hex()}", "--wallet", f"{taken.wallet}/{taken.name}")
    newcomer.config.unlink()
    terminal = newcomer.at_terminal(200)
    for question, reply in (
        ("What to do", ""),
        ("Fingerprint", "wrong"),
        ("Fingerprint", owner.fingerprint),
        ("Sign with", "1"),
        ("Replace it", "y"),
        ("Sign with", "n"),
        ("Replace it", "y"),
        ("Make an API key", "n"),
    ):
        terminal.expect(question)
        terminal.sendline(reply)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert owner.name in newcomer.config.read_text()


def test_a_stale_token_is_asked_for_again_at_a_terminal(newcomer: Newcomer) -> None:
    wallets.create_wallet(newcomer.home / ".bittensor" / "wallets")
    name = f"z{os.urandom(4).hex()}"
    terminal = newcomer.at_terminal(200, "--register", name, CHUTES_REGISTRATION_TOKEN="stale-canary")
    terminal.expect("valid for 5 minutes")
    terminal.expect("Token")
    terminal.sendline(TOKEN)
    terminal.expect(f"knows this account as {name}")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_an_account_from_variables(newcomer: Newcomer, owner: Owner) -> None:
    file = newcomer.home / "ci" / "config.ini"
    variables = {"CHUTES_HOTKEY_SEED": f"0x{owner.seed}", "CHUTES_CONFIG_PATH": str(file)}
    done = newcomer.run_apart("--from-env", "--yes", "--json", **variables)
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout)["hotkey"] == owner.data["hotkey"]
    assert (mode(file), owner.name in file.read_text()) == (0o600, True)
    assert owner.seed not in done.stdout + done.stderr
    before = file.stat().st_mtime_ns
    expected = {"CHUTES_USERNAME": owner.name, "CHUTES_USER_ID": owner.data["user_id"]}
    assert "unchanged" in newcomer.run_apart("--from-env", **variables, **expected).stderr
    assert file.stat().st_mtime_ns == before
    assert newcomer.run_apart("--from-env", **variables, CHUTES_HOTKEY_NAME="ci").code == 0
    assert "hotkey_name = ci" in file.read_text()
    assert file.with_name("config.ini.bak-1").exists()


def test_variables_that_do_not_fit_are_named(newcomer: Newcomer, owner: Owner) -> None:
    assert "CHUTES_HOTKEY_SEED is not set" in newcomer.run("--from-env", "--yes", code=2)
    assert "not a valid seed" in newcomer.run("--from-env", code=2, CHUTES_HOTKEY_SEED=owner.seed[:-1])
    assert f"set CHUTES_USERNAME to {owner.name}" in newcomer.run(
        "--from-env", code=2, CHUTES_USERNAME="other", CHUTES_HOTKEY_SEED=owner.seed
    )
    assert "CHUTES_USER_ID" in newcomer.run("--from-env", code=1, CHUTES_USER_ID="other", CHUTES_HOTKEY_SEED=owner.seed)
    unknown = keypair_from_seed("5" * 64).ss58_address
    assert unknown in newcomer.run("--from-env", code=1, CHUTES_HOTKEY_SEED="5" * 64)
    assert not newcomer.config.exists()


def test_a_configuration_on_standard_input(newcomer: Newcomer, owner: Owner) -> None:
    done = newcomer.run_apart("--config", "-", "--json", stdin_text=owner.config_text)
    assert (done.code, json.loads(done.stdout)["username"]) == (0, owner.name), done.stderr
    assert newcomer.config.read_text() == owner.config_text
    assert "it is empty" in newcomer.run("--config", "-", code=2)
    assert "larger than" in newcomer.run("--config", "-", code=2, stdin_text="#" * 70_000)
    assert owner.seed not in newcomer.run("--config", "-", code=2, stdin_text=f"hotkey_seed = {owner.seed}")


def test_an_overruled_username_names_no_file_elsewhere(newcomer: Newcomer) -> None:
    output_text = newcomer.run("--register", "../../x", "--wallet", "new", "--allow", "username", code=1)
    assert "the platform returned" in output_text
    assert not [*newcomer.home.rglob("*x")]


def test_json_needs_an_action(newcomer: Newcomer) -> None:
    assert "--json asks no questions" in newcomer.run("--json", code=2)


FLOWS: dict[str, tuple[str, ...]] = {
    "fingerprint": ("--fingerprint", "--wallet", "new", "--yes"),
    "register": ("--register", "somebody", "--wallet", "new"),
    "variables": ("--from-env",),
    "config": ("--config", "-"),
    "key": ("--key",),
}


@pytest.fixture(scope="module")
def known_owner(platform: FaultyPlatform, tmp_path_factory: pytest.TempPathFactory) -> Owner:
    return Owner(Newcomer(tmp_path_factory.mktemp("owner"), platform.url))


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("fault", [each for each in FAULTS if each.name in ("403", "422", "500-page", "hang")])
def test_a_fault_ends_with_a_next_step_and_without_a_secret(
    tmp_path: Path, platform: FaultyPlatform, known_owner: Owner, fault: Fault, flow: str
) -> None:
    newcomer = Newcomer(tmp_path, platform.url)
    if flow == "key":
        newcomer.config.parent.mkdir()
        newcomer.config.write_text(known_owner.config_text)
    before = list_texts(newcomer)
    stdin_text = known_owner.config_text if flow == "config" else known_owner.fingerprint
    timeout_s = "0.3" if fault.name == "hang" else "60"
    variables = {"CHUTES_HOTKEY_SEED": known_owner.seed, "CHUTES_API_TIMEOUT": timeout_s}
    with platform.failing(fault):
        done = newcomer.run_apart(*FLOWS[flow], "--json", stdin_text=stdin_text, **variables)
    assert done.code in (1, 2), done.stderr
    assert (done.stdout, "Next: " in done.stderr) == ("", True)
    assert not [secret for secret in (known_owner.seed, known_owner.fingerprint, TOKEN) if secret in done.stderr]
    assert list_texts(newcomer) == before
