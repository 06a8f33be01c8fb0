"""``--key`` on a real emulator: the least key, what it may do, and the replacement of keys that may do more."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pexpect
import pytest
import requests

from chutes_wrappers.cli.setup import key_setup
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from tests.commands import Commands
from tests.emulator.api.client import Client, make_bearer_header, make_definition
from tests.emulator.tokens import TOKEN
from tests.fork_server import CHUTES, TIMEOUT_S, WIZARD
from tests.scenario import ROOT

from .newcomers import Newcomer, mode

INVOKE_SCOPE = ("chutes", None, "invoke")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    settings = Settings(registration_token=TOKEN, folder=tmp_path_factory.mktemp("platform"), docker=False)
    with run_platform(settings, HostLauncher()) as running:
        yield running


class Owner(Client):
    """A registered user with the account's file in a home folder of their own."""

    home: Newcomer

    @property
    def key_file(self) -> Path:
        return self.home.config.with_name("api_key")

    def write_key(self, **overrides: Any) -> dict[str, Any]:
        """Create a key through the API, and write it into the file."""
        made = self.create_key(**overrides)
        self.key_file.write_text(made["secret_key"] + "\n")
        return made

    def list_keys(self) -> dict[str, dict[str, Any]]:
        return {key["name"]: key for key in self.get("/api_keys/").json()["items"]}


@pytest.fixture
def owner(tmp_path: Path, platform: RunningPlatform) -> Owner:
    name = f"user{os.urandom(4).hex()}"
    made = Owner(platform.url, accounts.register(platform.url, name, TOKEN))
    made.home = Newcomer(tmp_path, platform.url)
    accounts.write_config(made.account, platform.url, made.home.config)
    return made


def scopes_of(key: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    return [(scope["object_type"], scope["object_id"], scope["action"]) for scope in key["scopes"]]


def test_a_created_key_may_call_a_chute_and_nothing_else(owner: Owner) -> None:
    owner.build_and_wait()
    assert owner.deploy().ok
    assert owner.get("/chutes/warmup/case").ok
    output_text = owner.home.run("--key")
    secret = owner.key_file.read_text().strip()
    (key,) = owner.list_keys().values()
    assert (key["name"], key["admin"], scopes_of(key)) == ("chutes-wrappers", False, [INVOKE_SCOPE])
    assert "may call chutes and nothing else" in output_text
    assert secret not in output_text
    assert mode(owner.key_file) == 0o600

    called = Commands(owner.home.home, owner.home.variables).run("--call", "case", "/greet", "-d", '{"name": "you"}')
    assert (called.code, json.loads(called.stdout or "{}")) == (0, {"hello": "you"}), called.stderr
    for method, path, body in (
        ("GET", "/users/me", None),
        ("GET", "/chutes/", None),
        ("GET", "/chutes/case", None),
        ("GET", "/images/case:v1", None),
        ("GET", "/chutes/warmup/case", None),
        ("GET", "/secrets/", None),
        ("GET", "/api_keys/", None),
        ("POST", "/api_keys/", {"name": "more", "admin": True}),
        ("POST", "/chutes/", make_definition(name="other")),
        ("POST", "/secrets/", {"purpose": "case", "key": "A", "value": "b"}),
        ("DELETE", "/chutes/case", None),
        ("DELETE", "/images/case:v1", None),
        ("DELETE", f"/api_keys/{key['api_key_id']}", None),
    ):
        headers = make_bearer_header(secret)
        response = requests.request(method, f"{owner.url}{path}", headers=headers, json=body, timeout=60)
        assert response.status_code == 401, (method, path)


def test_an_admin_key_is_created_on_request_and_its_power_is_printed(owner: Owner) -> None:
    output_text = owner.home.run("--key", "admin")
    assert "an admin key may do everything that the account may do: deploy, delete, spend" in " ".join(
        output_text.split()
    )
    headers = make_bearer_header(owner.key_file.read_text().strip())
    assert requests.get(f"{owner.url}/users/me", headers=headers, timeout=60).ok
    before = owner.key_file.read_text()
    assert "is kept" in owner.home.run("--key=admin")
    assert owner.key_file.read_text() == before


@pytest.mark.parametrize("value", ["everything", "Admin", "cpk_CANARY"])
def test_another_value_is_a_usage_error_with_the_valid_ones(owner: Owner, value: str) -> None:
    output_text = owner.home.run("--key", value, code=2)
    assert "not one of invoke, admin" in " ".join(output_text.split())
    assert "CANARY" not in output_text
    assert owner.list_keys() == {}


def test_a_key_that_may_do_more_is_replaced_after_a_question(owner: Owner) -> None:
    old = owner.write_key(name="laptop", admin=True)
    terminal = owner.home.at_terminal(200, "--key")
    terminal.expect("may do everything that the account may do")
    terminal.expect("Replace it by one that may call chutes and nothing else")
    terminal.sendline("y")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    check_replaced(owner, old, str(terminal.before))


def check_replaced(owner: Owner, old: dict[str, Any], output_text: str) -> None:
    """Check that ``old`` is valid, saved and named for deletion; and that the named command deletes it."""
    backup = owner.key_file.with_name("api_key.bak-1")
    assert (backup.read_text().strip(), mode(backup)) == (old["secret_key"], 0o600)
    new = owner.list_keys()["chutes-wrappers"]
    assert scopes_of(new) == [INVOKE_SCOPE]
    assert new["api_key_id"].replace("-", "") in owner.key_file.read_text()
    assert old["name"] in owner.list_keys()
    text = " ".join(output_text.split())
    match = re.search(r"(laptop) is still valid on the platform; delete it: \.venv/bin/chutes (keys delete \S+)", text)
    assert match, text
    assert not [secret for secret in (old["secret_key"], owner.key_file.read_text().strip()) if secret in text]
    deleted = Commands(owner.home.home, owner.home.variables, CHUTES).run(*match[2].split(), stdin_text="y\n")
    assert deleted.code == 0, deleted.stderr
    assert [*owner.list_keys()] == ["chutes-wrappers"]


def test_yes_replaces_it_without_a_terminal_and_without_yes_nothing_changes(owner: Owner) -> None:
    old = owner.write_key(name="laptop", admin=True)
    output_text = owner.home.run("--key", code=2)
    assert "add --yes" in output_text
    assert str(owner.key_file) in output_text.replace("\n", "")
    assert (owner.key_file.read_text().strip(), [*owner.list_keys()]) == (old["secret_key"], ["laptop"])
    check_replaced(owner, old, owner.home.run("--key", "--yes"))


@pytest.mark.parametrize("reply", ["n\r", "q\r", "b\r", "\x04"])
def test_a_no_changes_nothing_and_is_not_a_success(owner: Owner, reply: str) -> None:
    old = owner.write_key(name="laptop", admin=True)
    terminal = owner.home.at_terminal(200, "--key")
    terminal.expect("Replace it")
    terminal.send(reply)
    terminal.expect("is unchanged")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 1
    assert (owner.key_file.read_text().strip(), [*owner.list_keys()]) == (old["secret_key"], ["laptop"])


def test_ctrl_c_at_the_question_changes_nothing(owner: Owner) -> None:
    owner.write_key(name="laptop", admin=True)
    terminal = owner.home.at_terminal(200, "--key")
    terminal.expect("Replace it")
    terminal.send("\x03")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert (terminal.exitstatus, [*owner.list_keys()]) == (130, ["laptop"])


@pytest.mark.parametrize(("reply", "names"), [("n", ["laptop"]), ("", ["laptop", "chutes-wrappers"])])
def test_the_wizard_asks_about_a_key_that_may_do_more(owner: Owner, reply: str, names: list[str]) -> None:
    owner.write_key(name="laptop", admin=True)
    terminal = owner.home.at_terminal(200)
    for question, answer in (("Set up another account", ""), ("Replace it by one that may call chutes", reply)):
        terminal.expect(question)
        terminal.sendline(answer)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert (terminal.exitstatus, [*owner.list_keys()]) == (0, names)


def test_yes_of_setup_replaces_a_key(owner: Owner) -> None:
    if not (ROOT / ".venv" / ".complete-dev").exists():
        pytest.skip("the project's own .venv is not set up here: ./setup.sh --dev")
    old = owner.write_key(name="laptop", admin=True)
    done = subprocess.run(
        [ROOT / "setup.sh", "--account", "--yes", "--key"],
        env={**owner.home.variables, "CHUTES_WRAPPERS_PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    check_replaced(owner, old, done.stdout + done.stderr)


def test_two_processes_at_once_leave_no_key_without_its_secret(owner: Owner) -> None:
    with ThreadPoolExecutor(2) as pool:
        wizards = [Commands(ROOT, owner.home.variables, WIZARD) for _ in range(2)]
        codes = sorted(done.code for done in pool.map(lambda wizard: wizard.run("--key"), wizards))
    assert codes[0] == 0
    assert codes[1] in (0, 1)
    texts = [path.read_text() for path in owner.key_file.parent.glob("api_key*")]
    for key in owner.list_keys().values():
        assert any(key["api_key_id"].replace("-", "") in text for text in texts), key


@pytest.mark.parametrize(
    ("scopes", "found"),
    [
        ([{"object_type": "chutes", "action": "write"}], "write chutes"),
        ([{"object_type": "chutes", "action": None}], "* chutes"),
        (
            [{"object_type": "chutes", "action": "invoke"}, {"object_type": "images", "action": "delete"}],
            "delete images",
        ),
        ([], "none"),
    ],
)
def test_a_key_with_other_scopes_is_replaced(owner: Owner, scopes: list[Any], found: str) -> None:
    owner.write_key(name="laptop", scopes=scopes)
    assert found in owner.home.run("--key", code=2)
    assert "laptop is still valid" in " ".join(owner.home.run("--key", "--yes").split())
    assert scopes_of(owner.list_keys()["chutes-wrappers"]) == [INVOKE_SCOPE]


def test_an_invoke_key_for_one_chute_is_kept(owner: Owner) -> None:
    owner.write_key(scopes=[{"object_type": "chutes", "object_id": "x", "action": "invoke"}])
    before = owner.key_file.read_text()
    assert "is kept" in owner.home.run("--key")
    assert (owner.key_file.read_text(), [*owner.list_keys()]) == (before, ["key"])


def test_an_invoke_key_is_replaced_by_an_admin_key_on_request(owner: Owner) -> None:
    owner.home.run("--key")
    assert "add --yes" in owner.home.run("--key", "admin", code=2)
    owner.home.run("--key", "admin", "--yes")
    assert {name: key["admin"] for name, key in owner.list_keys().items()} == {
        "chutes-wrappers": False,
        "chutes-wrappers-2": True,
    }


def test_a_deleted_key_is_replaced(owner: Owner) -> None:
    old = owner.write_key(name="gone", scopes=[{"object_type": "chutes", "action": "invoke"}])
    assert owner.delete(f"/api_keys/{old['api_key_id']}").ok
    output_text = owner.home.run("--key", "--yes")
    assert "it was deleted" in " ".join(output_text.split())
    assert [*owner.list_keys()] == ["chutes-wrappers"]


def test_a_key_in_the_variable_is_not_replaced_by_a_file(owner: Owner) -> None:
    key = owner.create_key(name="exported", admin=True)
    output_text = owner.home.run("--key", "--yes", code=2, CHUTES_API_KEY=key["secret_key"])
    assert "unset CHUTES_API_KEY" in output_text
    assert f"chutes keys delete {key['api_key_id']}" in " ".join(output_text.split())
    assert key["secret_key"] not in output_text
    assert (owner.key_file.exists(), [*owner.list_keys()]) == (False, ["exported"])


def test_a_key_that_cannot_be_written_is_deleted_again(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(owner.home.home))
    monkeypatch.delenv("CHUTES_CONFIG_PATH", raising=False)
    monkeypatch.delenv("CHUTES_API_KEY", raising=False)
    with (
        patch.object(key_setup, "read_account", return_value=owner.account),
        patch.object(key_setup, "write_with_backup", side_effect=WrapperError("disk full")) as write,
        pytest.raises(WrapperError, match="disk full"),
    ):
        key_setup.set_up_key("invoke", is_confirmed=False)
    assert write.call_args.args[1].startswith("cpk_")
    assert owner.list_keys() == {}


def test_a_folder_that_cannot_be_written_is_reported_before_a_key_is_created(owner: Owner) -> None:
    owner.key_file.symlink_to("/proc/missing/api_key")
    output_text = owner.home.run("--key", code=2)
    assert "cannot be written" in output_text
    assert "CHUTES_CONFIG_PATH" not in output_text
    assert owner.list_keys() == {}


def test_a_link_needs_a_key_that_may_read(owner: Owner) -> None:
    owner.home.run("--key")
    wallet = owner.home.home / ".bittensor" / "wallets" / "w" / "hotkeys"
    wallet.mkdir(parents=True)
    address = {"ss58Address": owner.account.hotkey, "secretSeed": f"0x{owner.account.seed}"}
    (wallet / "default").write_text(json.dumps(address))
    (wallet.parent / "coldkeypub.txt").write_text(json.dumps({"ss58Address": owner.account.hotkey}))
    output_text = " ".join(owner.home.run("--link", code=1).split())
    assert "use an admin API key of the account, from the website" in output_text
    owner.home.run("--key", "admin", "--yes")
    assert "knows this account as" in owner.home.run("--link")
