"""The account's set-up on a real terminal and by flags, with the emulator; the SDK then uses the written files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from chutes_wrappers.host.account import wallets
from tests.commands import Commands
from tests.emulator.api.client import Client
from tests.emulator.tokens import TOKEN
from tests.fork_server import CHUTES, TIMEOUT_S
from tests.scenario import ROOT
from tests.terminal import interrupt

from .newcomers import Newcomer, mode, secrets_of


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    folder = tmp_path_factory.mktemp("platform")
    with run_platform(Settings(registration_token=TOKEN, folder=folder, docker=False), HostLauncher()) as running:
        Client.register(running.url, "taken")
        yield running


@pytest.fixture
def newcomer(tmp_path: Path, platform: RunningPlatform) -> Newcomer:
    return Newcomer(tmp_path, platform.url)


def test_a_newcomer_registers_with_a_new_wallet_at_the_terminal(newcomer: Newcomer) -> None:
    terminal = newcomer.at_terminal()
    screen = []
    for question, reply in (
        ("What to do", "9"),
        ("What to do", "2"),
        ("Username", "x"),
        ("Username", "taken"),
        ("Sign with", "7"),
        ("Sign with", "n"),
        ("Username", "b"),
        ("What to do", "2"),
        ("Username", "newcomer"),
        ("Sign with", "1"),
        ("Make an API key", "perhaps"),
        ("Make an API key", ""),
    ):
        terminal.expect(question)
        screen.append(str(terminal.before))
        terminal.sendline(reply)
    terminal.expect(pexpect.EOF)
    screen.append(str(terminal.before))
    terminal.close()
    output_text = "".join(screen)
    assert terminal.exitstatus == 0, output_text
    assert "3 to 15 letters" in output_text
    assert "already exists" in output_text
    assert "0.25 TAO" in screen[2].replace("\r\n", "")  # before the first question of a registration
    assert "knows this account as newcomer" in output_text.replace("\r\n", "")
    hidden = secrets_of(newcomer)
    assert len(hidden) == 8
    assert not [secret for secret in hidden if secret in output_text]
    written = [newcomer.config, newcomer.config.with_name("api_key"), *newcomer.config.parent.glob("fingerprint-*")]
    written += [path for path in (newcomer.home / ".bittensor").rglob("*") if path.is_file()]
    assert {mode(path) for path in written} == {0o600}


def test_registration_by_flags_keeps_the_old_file_and_the_sdk_reads_the_new_one(newcomer: Newcomer) -> None:
    newcomer.config.parent.mkdir()
    newcomer.config.write_text("[old]\n")
    output_text = newcomer.run("--register", "flagged", "--wallet", "new")
    assert "knows this account as flagged" in output_text
    assert not [secret for secret in secrets_of(newcomer) if secret in output_text]
    backup = newcomer.config.with_name("config.ini.bak-1")
    assert (backup.read_text(), mode(backup)) == ("[old]\n", 0o600)
    listed = Commands(newcomer.home, newcomer.variables, CHUTES).run("chutes", "list")
    assert listed.code == 0
    assert "error" not in listed.stderr.lower()


def test_an_account_is_linked_by_its_key_and_its_own_hotkey_only(newcomer: Newcomer) -> None:
    newcomer.run("--register", "linked", "--wallet", "new")
    key = api_key(newcomer)
    newcomer.config.unlink()
    output_text = newcomer.run("--link", CHUTES_API_KEY=key)
    assert "knows this account as linked" in output_text
    assert key not in output_text
    # The variable is for the link, as --help says; the key for calls is another.
    output_text = newcomer.run("--link", "--key", CHUTES_API_KEY=key)
    assert "unset CHUTES_API_KEY" in output_text
    assert key not in output_text
    stored = newcomer.config.with_name("api_key").read_text().strip()
    assert stored.startswith("cpk_")
    assert stored != key
    assert f"{newcomer.config.with_name('api_key')} is kept" in newcomer.run(
        "--link", "--key", CHUTES_API_KEY=key
    ).replace("\n", "")
    wallets_folder = newcomer.home / ".bittensor" / "wallets"
    wallets.create_wallet(wallets_folder)
    refused = newcomer.run("--link", "--wallet", "chutes-2/default", code=1, CHUTES_API_KEY=key)
    assert "another hotkey" in refused
    assert key not in refused
    assert "cpk_wrong" not in newcomer.run("--link", "--wallet", "chutes/default", code=1, CHUTES_API_KEY="cpk_wrong")


def api_key(newcomer: Newcomer) -> str:
    """Create an API key of the account in the newcomer's file, through the API."""
    line = ("keys", "create", "--name", "k", "--admin")
    result = Commands(newcomer.home, newcomer.variables, CHUTES).run(*line)
    match = re.search(r'"secret_key": "([^"]+)"', result.stdout + result.stderr)
    assert match, result
    return match[1]


def test_a_configuration_file_is_copied_after_validation(newcomer: Newcomer, tmp_path: Path) -> None:
    newcomer.run("--register", "moved", "--wallet", "new")
    elsewhere = tmp_path / "elsewhere.ini"
    newcomer.config.rename(elsewhere)
    assert "moved" in newcomer.run("--config", str(elsewhere))
    assert mode(newcomer.config) == 0o600
    broken = tmp_path / "broken.ini"
    broken.write_text("[auth]\nusername = x\n")
    before = newcomer.config.read_bytes()
    assert "lacks" in newcomer.run("--config", str(broken), code=2)
    assert newcomer.config.read_bytes() == before


@pytest.mark.parametrize(("key", "code"), [("\x03", 130), ("\x04", 0), ("q\r", 0)])
@pytest.mark.parametrize("at", ["What to do", "Username", "Sign with"])
def test_ctrl_c_and_end_of_input_leave_no_files(newcomer: Newcomer, key: str, code: int, at: str) -> None:
    terminal = newcomer.at_terminal(100)
    for question, reply in (("What to do", "2"), ("Username", "someone"), ("Sign with", "")):
        terminal.expect(question)
        if question == at:
            terminal.send(key)
            break
        terminal.sendline(reply)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == code
    assert not newcomer.config.exists()


def test_without_a_terminal_the_flags_are_named(newcomer: Newcomer) -> None:
    assert "--register" in newcomer.run(code=2)
    assert "cannot be used together" in newcomer.run("--link", "--register", "x", code=2)
    assert "--wallet" in newcomer.run("--register", "someone", code=2)
    assert "CHUTES_API_KEY" in newcomer.run("--link", code=2)
    assert "use --fingerprint" in newcomer.run("--link", code=2, CHUTES_API_KEY="cpk_" + "a" * 60)
    assert "--yes asks no questions" in newcomer.run("--yes", code=2)
    assert "use --wallet new to create one" in newcomer.run("--register", "someone", code=2)


def test_invalid_arguments_create_no_wallet(newcomer: Newcomer) -> None:
    newcomer.run("--register", "x", "--wallet", "new", code=2)
    newcomer.run("--link", "--wallet", "new", code=2, CHUTES_API_KEY="cpk_canary")
    assert not (newcomer.home / ".bittensor").exists()


def test_no_wallet_is_created_for_an_unreachable_api(newcomer: Newcomer) -> None:
    newcomer.run("--register", "later", "--wallet", "new", code=1, CHUTES_API_URL="http://127.0.0.1:9")
    assert [*newcomer.home.iterdir()] == [newcomer.config.parent]
    assert [*newcomer.config.parent.iterdir()] == []


def test_a_wrong_registration_token_is_named_with_its_variable(newcomer: Newcomer) -> None:
    output_text = newcomer.run(
        "--register", "stranger", "--wallet", "new", code=1, CHUTES_REGISTRATION_TOKEN="guessed-4711"
    )
    assert "set CHUTES_REGISTRATION_TOKEN" in output_text
    assert "4711" not in output_text


def test_a_rejected_registration_names_the_new_wallet(newcomer: Newcomer) -> None:
    assert "--wallet chutes/default" in newcomer.run("--register", "taken", "--wallet", "new", code=1)
    assert "knows this account as afterwards" in newcomer.run("--register", "afterwards", "--wallet", "chutes/default")


def test_a_read_only_folder_is_reported_before_any_request(newcomer: Newcomer) -> None:
    newcomer.config.mkdir(parents=True)
    assert "cannot be written" in newcomer.run("--register", "unwritten", "--wallet", "new", code=2)
    os.rmdir(newcomer.config)
    login = newcomer.config.with_name("fingerprint-unwritten")
    login.mkdir()
    assert str(login) in newcomer.run("--register", "unwritten", "--wallet", "new", code=2)
    login.rmdir()
    assert "unwritten" in newcomer.run("--register", "unwritten", "--wallet", "new")


def test_an_invalid_key_is_not_printed(newcomer: Newcomer) -> None:
    for key in ("cpk_CANARY\nsecond", "cpk_CANARÝ", "cpk_CAN ARY"):
        output_text = newcomer.run("--link", code=2, CHUTES_API_KEY=key)
        assert "the API key has invalid characters" in output_text
        assert "CAN" not in output_text


def test_a_file_of_an_unknown_account_replaces_nothing(newcomer: Newcomer, tmp_path: Path) -> None:
    newcomer.run("--register", "careful", "--wallet", "new")
    before = newcomer.config.read_text()
    fields = dict(line.split(" = ", 1) for line in before.splitlines() if " = " in line)
    unknown = wallets.create_wallet(tmp_path / "wallets")
    invalid_file = tmp_path / "wrong.ini"
    invalid_file.write_text(
        before.replace(fields["hotkey_seed"], unknown.seed).replace(fields["hotkey_ss58address"], unknown.address)
    )
    assert "401" in newcomer.run("--config", str(invalid_file), code=1)
    invalid_file.write_text(before.replace("hotkey_name", "#"))
    assert "lacks hotkey_name" in newcomer.run("--config", str(invalid_file), code=2)
    assert "No such file" in newcomer.run("--config", "~/nowhere.ini", code=2)
    assert (newcomer.config.read_text(), [*newcomer.config.parent.glob("*.bak-*")]) == (before, [])


def test_a_symlink_to_the_file_stays_a_symlink(newcomer: Newcomer, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.ini"
    real.write_bytes(b"\xff\xfe")
    newcomer.config.parent.mkdir()
    newcomer.config.symlink_to(real)
    newcomer.run("--register", "linkedfile", "--wallet", "new")
    assert newcomer.config.is_symlink()
    assert "linkedfile" in real.read_text()
    assert real.with_name("dotfiles.ini.bak-1").read_bytes() == b"\xff\xfe"


def test_an_inconsistent_file_replaces_nothing(newcomer: Newcomer, tmp_path: Path) -> None:
    newcomer.run("--register", "together", "--wallet", "new")
    before = newcomer.config.read_text()
    address = next(line.partition(" = ")[2] for line in before.splitlines() if line.startswith("hotkey_ss58address"))
    invalid_file = tmp_path / "wrong.ini"
    invalid_file.write_text(before.replace(address, "5" + address[:0:-1]))
    assert "do not belong together" in newcomer.run("--config", str(invalid_file), code=2)
    invalid_file.write_text(before.replace("username = together", "username = other"))
    assert "knows the account as together" in newcomer.run("--config", str(invalid_file), code=2)
    assert "no such user" in newcomer.run("--config", "~nobody-is-called-so/x.ini", code=2)
    assert newcomer.config.read_text() == before


def test_the_website_login_file_is_never_overwritten(newcomer: Newcomer) -> None:
    login = newcomer.config.with_name("fingerprint-preciousone")
    login.parent.mkdir()
    login.write_text("precious")
    newcomer.run("--register", "preciousone", "--wallet", "new")
    assert login.read_text() != "precious"
    assert login.with_name("fingerprint-preciousone.bak-1").read_text() == "precious"


def test_a_symlink_to_a_read_only_folder_is_reported_before_any_request(newcomer: Newcomer) -> None:
    (newcomer.home / "file").write_text("")
    newcomer.config.parent.mkdir()
    newcomer.config.symlink_to(newcomer.home / "file" / "config.ini")
    assert "cannot be written" in newcomer.run("--register", "unlinked", "--wallet", "new", code=2)
    newcomer.config.unlink()
    assert "unlinked" in newcomer.run("--register", "unlinked", "--wallet", "new")


def test_an_api_key_of_another_account_is_reported(newcomer: Newcomer) -> None:
    newcomer.run("--register", "firstone", "--wallet", "new", "--key")
    output_text = newcomer.run("--register", "secondone", "--wallet", "new", "--key", code=2)
    assert "belongs to another account than secondone" in output_text
    assert "add --yes" in output_text
    newcomer.config.with_name("api_key").write_text(api_key(newcomer))
    output_text = newcomer.run("--register", "thirdone", "--wallet", "new", "--key", code=2)
    assert "belongs to secondone, and the account is thirdone" in output_text


def test_an_invalid_api_url_and_a_closed_input_are_reported(newcomer: Newcomer) -> None:
    wallets.create_wallet(newcomer.home / ".bittensor" / "wallets")
    assert "CHUTES_API_URL" in newcomer.run("--register", "someone", code=2, CHUTES_API_URL="http://[::1")
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m chutes_wrappers.cli.setup.wizard <&-"],
        cwd=ROOT,
        env=newcomer.variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert (done.returncode, "the questions need a terminal" in done.stderr) == (2, True)


def test_an_api_key_is_created_once_and_saved(newcomer: Newcomer) -> None:
    newcomer.run("--register", "keyholder", "--wallet", "new", "--key")
    key_file = newcomer.config.with_name("api_key")
    assert (key_file.read_text().startswith("cpk_"), mode(key_file)) == (True, 0o600)
    before = key_file.read_text()
    output_text = newcomer.run("--key")
    assert "is kept: it may call chutes and nothing else" in output_text
    assert before.strip() not in output_text
    assert key_file.read_text() == before


def test_the_terminal_can_link_an_account_and_use_a_file(newcomer: Newcomer, tmp_path: Path) -> None:
    newcomer.run("--register", "visitor", "--wallet", "new")
    key, elsewhere = api_key(newcomer), tmp_path / "elsewhere.ini"
    newcomer.config.rename(elsewhere)
    for replies in (
        (
            ("What to do", "3"),
            ("Sign with", "n"),
            ("Sign with", ""),
            ("Admin API key", "cpk_wrong"),
            ("Admin API key", key),
            ("Make an API key", "n"),
        ),
        (
            ("Set up another", "y"),
            ("What to do", "4"),
            ("File", "/nowhere.ini"),
            ("File", str(elsewhere)),
            ("Make an API key", "n"),
        ),
        (("Set up another", ""), ("Make an API key", "n")),
    ):
        terminal = newcomer.at_terminal(100)
        for question, reply in replies:
            terminal.expect(question)
            terminal.sendline(reply)
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == 0
        assert "visitor" in newcomer.config.read_text()
        assert key not in str(terminal.before)


@pytest.fixture
def at_setup(newcomer: Newcomer) -> Iterator[pexpect.spawn[str]]:
    """``./setup.sh`` of a newcomer with an existing environment, at the first question."""
    if not (ROOT / ".venv" / ".complete-dev").exists():
        pytest.skip("the project's own .venv is not set up here: ./setup.sh --dev")
    variables = {**newcomer.variables, "CHUTES_WRAPPERS_PYTHON": sys.executable}
    child = pexpect.spawn(
        str(ROOT / "setup.sh"), env=variables, encoding="utf-8", timeout=TIMEOUT_S, dimensions=(24, 60)
    )
    child.expect("✓ the environment is ready")
    child.expect("What to do")
    yield child
    child.close(force=True)


def test_setup_asks_about_the_account_and_accepts_no(at_setup: pexpect.spawn[str], newcomer: Newcomer) -> None:
    at_setup.sendline("7")
    at_setup.expect("expected 1, 2, 3, 4 or q")
    at_setup.expect("What to do")
    at_setup.sendline("q")
    at_setup.expect("no account yet")
    at_setup.expect(pexpect.EOF)
    at_setup.close()
    assert (at_setup.exitstatus, newcomer.config.exists()) == (0, False)


def test_setup_registers_a_newcomer(at_setup: pexpect.spawn[str], newcomer: Newcomer) -> None:
    at_setup.sendline("2")
    at_setup.expect("Username")
    at_setup.sendline("fromsetup")
    at_setup.expect("Sign with")
    at_setup.sendline("n")
    at_setup.expect("Make an API key")
    at_setup.sendline("n")
    at_setup.expect(pexpect.EOF)
    at_setup.close()
    assert (at_setup.exitstatus, "fromsetup" in newcomer.config.read_text()) == (0, True)
    assert mode(newcomer.config) == 0o600


def test_ctrl_c_at_a_question_of_setup_is_130(at_setup: pexpect.spawn[str], newcomer: Newcomer) -> None:
    interrupt(at_setup)
    at_setup.close()
    assert (at_setup.exitstatus, newcomer.config.exists()) == (130, False)
    assert "Traceback" not in str(at_setup.before)


def test_end_of_input_at_a_question_of_setup_is_reported(at_setup: pexpect.spawn[str], newcomer: Newcomer) -> None:
    at_setup.sendeof()
    at_setup.expect("no account yet")
    at_setup.expect(pexpect.EOF)
    at_setup.close()
    assert at_setup.exitstatus == 0
    assert not newcomer.config.exists()
