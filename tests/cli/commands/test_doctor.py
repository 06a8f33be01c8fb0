"""Each fault is created, must be found, and its fix must be named."""

from __future__ import annotations

import json
import os
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.api.context import NewAccounts
from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from chutes_wrappers.host.account.credentials import SeedCredentials
from chutes_wrappers.host.account.keypairs import keypair_from_seed
from chutes_wrappers.host.doctor.import_checks import REQUIRED_MODULES
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from tests.commands import CommandResult, Commands
from tests.emulator.api.client import Client
from tests.emulator.tokens import TOKEN
from tests.scenario import DEPLOY, OLD_PLACEMENT, PLACEMENT, ROOT, make_environment
from tests.scenario import MODULE as SOURCE

MODULE = SOURCE.format(
    name="case",
    base="vendor/case:1",
    ports=[9000],
    env={},
    static_routes=[],
    expose="",
    image_arguments="",
    tunnel=False,
    placement=PLACEMENT,
)
NO_SUCH_IMAGE = {"message": "No such image"}
MANIFEST = {"version": 1, "routes": [{"path": "/a", "method": "GET", "port": 9000, "target_path": "/a"}]}


class Machine:
    """A home folder, an account, a folder with one good module, and the command line."""

    def __init__(self, folder: Path, platform: RunningPlatform, running: Commands) -> None:
        self.folder = folder
        self.config = folder / "config.ini"
        self.url = platform.url
        self._commands = running
        self.variables = {"HOME": str(folder), "CHUTES_CONFIG_PATH": str(self.config), "DOCKER_HOST": ""}
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()
        (self.elsewhere / "deploy_X.py").touch()
        (folder / "deploy_case.py").write_text(MODULE)
        (folder / "deploy_case.routes.json").write_text(json.dumps(MANIFEST))

    def run_doctor(
        self, *modules: str, is_elsewhere: bool = True, **variables: str
    ) -> tuple[CommandResult, dict[str, dict[str, Any]]]:
        """Run ``--doctor --json`` with ``modules``, which takes a second for each; return its result, and the findings that are
        not ok by "group name". It runs in the folder of the module, or ``is_elsewhere``, where the only module has a wrong name.
        """
        folder = self.elsewhere if is_elsewhere and not modules else self.folder
        words = ("--doctor", *modules, "--json")
        ran = self._commands.run(*words, variables={**self.variables, **variables}, folder=folder)
        payload = json.loads(ran.stdout)
        return ran, {f"{one['group']} {one['name']}": one for one in payload["findings"] if one["severity"] != "ok"}

    def edit(self, old: str, new: str) -> None:
        self.config.write_text(self.config.read_text().replace(old, new))


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    folder = tmp_path_factory.mktemp("platform")
    settings = Settings(registration_token=TOKEN, folder=folder, docker=False, new_accounts=NewAccounts(balance=100.0))
    with run_platform(settings, HostLauncher()) as running:
        yield running


@pytest.fixture(scope="module")
def account(platform: RunningPlatform) -> accounts.Account:
    return accounts.register(platform.url, "patient", TOKEN)


@pytest.fixture(scope="module")
def commands_server(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("CHUTES_", "CHUTE_", "DOCKER"))
    }
    return Commands(tmp_path_factory.mktemp("commands"), {**environment, "PYTHONPATH": str(ROOT)})


@pytest.fixture
def machine(tmp_path: Path, platform: RunningPlatform, account: accounts.Account, commands_server: Commands) -> Machine:
    made = Machine(tmp_path, platform, commands_server)
    accounts.write_config(account, platform.url, made.config)
    return made


def test_a_clean_machine_has_no_failures(machine: Machine) -> None:
    ran, findings = machine.run_doctor("deploy_case")
    assert ran.code == 0, findings
    assert {one["severity"] for one in findings.values()} <= {"note", "warning"}
    assert not [name for name in findings if name.startswith(("account", "modules", "environment"))]


def test_import_errors_are_named_and_other_checks_still_run(tmp_path: Path) -> None:
    missing = sorted(
        {name.split(".")[0] for name in REQUIRED_MODULES} - {"click", "rich"}
    )  # what the command line itself is made of
    for name in missing:
        (tmp_path / f"{name}.py").write_text(
            f"raise ModuleNotFoundError(\"No module named '{name}'\", name='{name}')\n"
        )
    variables = {**make_environment(), "HOME": str(tmp_path), "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    ran = subprocess.run(
        [*DEPLOY, "--doctor"], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1, ran.stderr
    for name in missing:
        assert f"No module named '{name}'" in ran.stdout
    assert ran.stdout.count("run ./setup.sh to create it again") >= len(missing)
    assert "no check failed" not in ran.stdout
    assert "docker cannot be imported" in ran.stdout
    assert ran.stdout.splitlines().index("docker") < ran.stdout.splitlines().index("modules")
    assert "Traceback" not in ran.stdout + ran.stderr


def expect(machine: Machine, name: str, severity: str, fix: str, found: str = "", **variables: str) -> None:
    modules = ["deploy_case"] if name == "modules deploy_case.py" else []
    ran, payload = machine.run_doctor(*modules, is_elsewhere=not name.startswith("modules"), **variables)
    assert name in payload, payload
    assert payload[name]["severity"] == severity
    assert fix, "what mends it is part of what is promised"
    assert fix in payload[name]["fix"], payload[name]
    assert found in payload[name]["found"], payload[name]
    assert ran.code == (1 if any(one["severity"] == "failure" for one in payload.values()) else 0)
    assert "Traceback" not in ran.stderr


def test_a_missing_account_is_a_warning_for_local_use(machine: Machine) -> None:
    machine.config.unlink()
    expect(machine, "account file", "warning", "setup.sh")


def test_a_config_that_lacks_fields(machine: Machine) -> None:
    machine.config.write_text("[auth]\nusername = x\n")
    expect(machine, "account file", "failure", "setup.sh --account")


def test_a_config_that_is_binary(machine: Machine) -> None:
    machine.config.write_bytes(b"\xff\xfe\0")
    expect(machine, "account file", "failure", "./setup.sh --account")


def test_a_config_that_is_a_folder(machine: Machine) -> None:
    machine.config.unlink()
    machine.config.mkdir()
    expect(machine, "account file", "failure", f"move the folder {machine.config} away")


def test_a_config_that_is_a_broken_link(machine: Machine) -> None:
    machine.config.unlink()
    machine.config.symlink_to("nowhere")
    expect(machine, "account file", "warning", "./setup.sh --account", found="is a broken symbolic link")


def test_an_unreadable_config_does_not_stop_other_checks(machine: Machine) -> None:
    machine.config.unlink()
    machine.config.symlink_to(machine.config)
    expect(machine, "account file", "failure", f"ls -ld {machine.config}", found="symbolic links")
    _, findings = machine.run_doctor()
    assert "wallet wallets" in findings


def test_a_config_that_others_may_read(machine: Machine) -> None:
    machine.config.chmod(0o644)
    expect(machine, "account mode", "warning", f"chmod 600 {machine.config}")


@pytest.mark.parametrize("seed", ["zz", "ab" * 31, "0x" + "ab" * 33])
def test_an_invalid_seed(machine: Machine, account: accounts.Account, seed: str) -> None:
    machine.edit(account.seed, seed)
    expect(machine, "account signature", "failure", "64 hexadecimal digits")


def test_a_seed_of_another_hotkey(machine: Machine, account: accounts.Account) -> None:
    seed = accounts.generate_seed()
    machine.edit(account.seed, seed)
    signs = keypair_from_seed(seed).ss58_address
    expect(
        machine,
        "account signature",
        "failure",
        "set both to the values of the same hotkey",
        f"the seed is that of {signs}",
    )


def test_an_account_that_the_platform_does_not_know(machine: Machine, account: accounts.Account) -> None:
    seed = accounts.generate_seed()
    machine.edit(account.seed, seed)
    machine.edit(account.hotkey, keypair_from_seed(seed).ss58_address)
    expect(machine, "account signature", "failure", str(machine.config))


def test_a_username_that_is_not_the_accounts(machine: Machine) -> None:
    machine.edit("username = patient", "username = somebody")
    expect(machine, "account username", "failure", "username = patient")


def test_a_variable_that_names_another_user(machine: Machine) -> None:
    expect(machine, "account CHUTES_USERNAME", "failure", "unset CHUTES_USERNAME", CHUTES_USERNAME="other")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "ftp://127.0.0.1", "nonsense"])
def test_an_unreachable_api(machine: Machine, url: str) -> None:
    machine.edit(machine.url, url)
    expect(machine, "account platform", "failure", "base_url")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "nonsense"])
def test_an_invalid_api_url_is_reported_for_its_file(machine: Machine, url: str) -> None:
    machine.edit(machine.url, url)
    expect(machine, "account platform", "failure", "set base_url in [api]")


def test_a_timeout_that_is_not_a_number(machine: Machine) -> None:
    expect(machine, "account platform", "failure", "such as 30", CHUTES_API_TIMEOUT="soon")


class _Api(BaseHTTPRequestHandler):
    """Responds with the server's ``date``, and to the paths in ``failing`` with its ``status`` and ``body``."""

    server: _ApiServer

    def do_GET(self) -> None:
        is_failing = self.path in self.server.failing
        payload = self.server.body.encode() if is_failing else b"{}"
        self.send_response_only(self.server.status if is_failing else 200)
        self.send_header("Date", self.server.date or self.date_time_string())
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


class _ApiServer(HTTPServer):
    status, date, body = 200, "", "{}"
    failing: tuple[str, ...] = ("/ping", "/users/me")


@pytest.fixture
def api(machine: Machine) -> Iterator[_ApiServer]:
    """The platform in the account's file, with invalid responses that a test sets."""
    with _ApiServer(("127.0.0.1", 0), _Api) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        machine.edit(machine.url, f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()
        thread.join()


def test_a_clock_outside_of_the_signatures_window(machine: Machine, api: _ApiServer) -> None:
    api.date = "Mon, 02 Jan 2023 03:04:05 GMT"
    expect(machine, "account clock", "failure", "timedatectl")


def test_an_api_behind_a_login(machine: Machine, api: _ApiServer) -> None:
    api.status = 401
    expect(machine, "account platform", "failure", f"set base_url in {machine.config} to the platform's API")


@pytest.mark.parametrize(
    ("status", "body", "paths"),
    [
        (502, "bad gateway", ("/ping", "/users/me")),
        (503, '{"detail": "maintenance"}', ("/users/me",)),
        (429, "{}", ("/users/me",)),
        (200, "<html><title>Maintenance</title>", ("/ping", "/users/me")),
    ],
)
def test_a_platform_that_fails_is_not_the_accounts_fault(
    machine: Machine, api: _ApiServer, status: int, body: str, paths: tuple[str, ...]
) -> None:
    api.status, api.body, api.failing = status, body, paths
    _, findings = machine.run_doctor()
    finding = findings["account platform"]
    assert finding["severity"] == "failure"
    assert finding["fix"].startswith("try again later: the platform is failing or in maintenance")
    assert "account signature" not in findings


@pytest.mark.parametrize(
    ("status", "detail", "fix"),
    [
        (401, "Could not find user with hotkey: 5Hh5", "the API there has no account with this hotkey"),
        (401, "Invalid nonce!", "this machine's clock"),
        (403, "Account disabled", "log in on the website"),
    ],
)
def test_a_refusal_of_the_account_names_its_reason(
    machine: Machine, api: _ApiServer, status: int, detail: str, fix: str
) -> None:
    api.status, api.body, api.failing = status, json.dumps({"detail": detail}), ("/users/me",)
    expect(machine, "account signature", "failure", fix, detail)


@pytest.mark.parametrize("balance", ["NaN", "Infinity", '"much"'])
def test_a_balance_that_is_not_a_number_is_not_shown(machine: Machine, api: _ApiServer, balance: str) -> None:
    api.body = f'{{"username": "patient", "balance": {balance}}}'
    _, findings = machine.run_doctor()
    assert findings["account balance"]["severity"] == "note"


def test_an_invalid_account_response_does_not_stop_other_checks(machine: Machine, api: _ApiServer) -> None:
    _, findings = machine.run_doctor()
    assert findings["account file"]["severity"] == "failure"
    assert "wallet wallets" in findings


@pytest.fixture
def key(platform: RunningPlatform, account: accounts.Account) -> Iterator[str]:
    credentials = SeedCredentials(seed=account.seed)
    with PlatformApi(platform.url, credentials) as api:
        scopes = [{"object_type": "chutes", "action": "invoke"}]
        made = api.post("/api_keys/", "making a key", {"name": "calls", "admin": False, "scopes": scopes})
        yield made["secret_key"]
        api.delete(f"/api_keys/{made['api_key_id']}", "removing the key", purpose="api_keys")


def write_key(machine: Machine, text: str, mode: int = 0o600) -> Path:
    path = machine.folder / ".chutes" / "api_key"
    path.parent.mkdir()
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_valid_key_is_ok_and_not_shown(machine: Machine, key: str) -> None:
    write_key(machine, key)
    ran, findings = machine.run_doctor()
    assert not [name for name in findings if name.startswith("account")]
    assert "may call chutes and nothing else; the first call shows" in " ".join(ran.stdout.split())
    assert key not in ran.stdout + ran.stderr


@pytest.mark.parametrize("variables", [{}, {"CHUTES_API_KEY": "cpk_canary"}])
def test_a_key_that_the_platform_rejects(machine: Machine, variables: dict[str, str]) -> None:
    write_key(machine, "cpk_canary")
    command = "./setup.sh --account --key"
    fix = f"unset CHUTES_API_KEY, then run {command}" if variables else f"run {command} to replace it"
    expect(machine, "account API key", "warning", fix, "the platform refuses it, and does not list it", **variables)
    ran, _ = machine.run_doctor(is_elsewhere=True, **variables)
    assert "cpk_canary" not in ran.stdout + ran.stderr


def test_a_key_of_another_user(machine: Machine, platform: RunningPlatform) -> None:
    other = Client.register(platform.url, f"other{os.urandom(3).hex()}")
    write_key(machine, other.create_key(admin=True)["secret_key"])
    expect(machine, "account API key", "warning", "--key to replace it", f"belongs to {other.account.username}")


def test_an_invoke_key_of_another_user(machine: Machine, platform: RunningPlatform) -> None:
    other = Client.register(platform.url, f"other{os.urandom(3).hex()}")
    write_key(machine, other.create_key(scopes=[{"object_type": "chutes", "action": "invoke"}])["secret_key"])
    expect(machine, "account API key", "warning", "--key to replace it", "belongs to another account than patient")


INVOKE_SCOPE = {"object_type": "chutes", "action": "invoke"}
WRITE_SCOPE = {"object_type": "chutes", "action": "write"}


@pytest.mark.parametrize(
    ("permissions", "found"),
    [
        ({"admin": True}, "may do everything that the account may do"),
        ({"admin": False, "scopes": [INVOKE_SCOPE, WRITE_SCOPE]}, "write chutes; calls take it"),
        ({"admin": False, "scopes": [{"object_type": "chutes"}]}, "calls take it"),
    ],
)
def test_a_key_that_can_do_more_than_calls_need(
    machine: Machine, account: accounts.Account, permissions: dict[str, Any], found: str
) -> None:
    made = Client(machine.url, account).create_key(name=f"more-{os.urandom(3).hex()}", **permissions)
    write_key(machine, made["secret_key"])
    _, findings = machine.run_doctor()
    finding = findings["account API key"]
    assert (finding["severity"], finding["fix"]) == ("note", ""), finding
    assert found in finding["found"]


@pytest.mark.parametrize("is_exported", [False, True])
def test_a_key_that_calls_do_not_take(machine: Machine, account: accounts.Account, is_exported: bool) -> None:
    made = Client(machine.url, account).create_key(
        name=f"more-{os.urandom(3).hex()}", admin=False, scopes=[WRITE_SCOPE]
    )
    variables = {"CHUTES_API_KEY": made["secret_key"]} if is_exported else {}
    write_key(machine, made["secret_key"])
    fix = "unset CHUTES_API_KEY, then run" if is_exported else "run ./setup.sh --account --key to replace it"
    expect(machine, "account API key", "warning", fix, "write chutes; calls need a key", **variables)


def test_a_deleted_key(machine: Machine, account: accounts.Account) -> None:
    owner = Client(machine.url, account)
    made = owner.create_key(name="gone", scopes=[{"object_type": "chutes", "action": "invoke"}])
    assert owner.delete(f"/api_keys/{made['api_key_id']}").ok
    write_key(machine, made["secret_key"])
    expect(machine, "account API key", "failure", "--key to replace it", "it was deleted")


def test_a_key_without_an_account(machine: Machine, key: str) -> None:
    machine.config.unlink()
    write_key(machine, key)
    _, findings = machine.run_doctor(CHUTES_API_URL=machine.url)
    assert findings["account API key"]["severity"] == "note"
    assert "may not read the account" in findings["account API key"]["found"]


def test_a_key_that_others_may_read(machine: Machine, key: str) -> None:
    path = write_key(machine, key, 0o640)
    expect(machine, "account API key's mode", "warning", f"chmod 600 {path}")


def test_a_key_that_cannot_be_read(machine: Machine) -> None:
    (machine.folder / ".chutes" / "api_key").mkdir(parents=True)
    expect(machine, "account API key", "failure", "move the folder")


def test_a_balance_below_that_of_a_build(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = Settings(
        registration_token=TOKEN,
        folder=tmp_path_factory.mktemp("poor"),
        docker=False,
        new_accounts=NewAccounts(balance=3.0),
    )
    with run_platform(settings, HostLauncher()) as poor:
        accounts.write_config(accounts.register(poor.url, "poor", TOKEN), poor.url, machine.config)
        expect(machine, "account balance", "warning", "pay in to")


@pytest.mark.parametrize(
    ("host", "fix"),
    [
        ("unix:///nowhere/docker.sock", "DOCKER_HOST"),
        ("tcp://127.0.0.1:9", "DOCKER_HOST"),
        ("nonsense://x", "DOCKER_HOST"),
    ],
)
def test_an_unreachable_engine_is_not_a_failure(machine: Machine, host: str, fix: str) -> None:
    expect(machine, "docker engine", "warning", fix, DOCKER_HOST=host)


def test_a_missing_socket_is_named(machine: Machine) -> None:
    expect(
        machine,
        "docker engine",
        "warning",
        "systemctl start docker",
        found="/nowhere/docker.sock",
        DOCKER_HOST="unix:///nowhere/docker.sock",
    )


def test_a_local_build_fails_without_the_docker_command(machine: Machine) -> None:
    expect(machine, "docker command", "warning", "--build --local needs it", PATH="/nowhere")


def test_a_docker_context_that_is_not_there(machine: Machine) -> None:
    expect(machine, "docker engine", "warning", "docker context use", DOCKER_CONTEXT="elsewhere")


def test_a_socket_without_a_server(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    expect(machine, "docker engine", "warning", "start the engine", DOCKER_HOST=f"unix://{path}")


@pytest.mark.parametrize(
    ("source", "fix"),
    [
        ("CHUTE_NAME = \n", "correct it"),
        ('CHUTE_NAME = "case"\n', "--template deploy_example"),
        (MODULE.replace("[9000]", "[0]"), "SERVICE_PORTS"),
        (f"{MODULE}\nimport nowhere_to_be_found\n", "correct the error in the last line"),
    ],
)
def test_a_module_that_cannot_be_read(machine: Machine, source: str, fix: str) -> None:
    (machine.folder / "deploy_case.py").write_text(source)
    expect(machine, "modules deploy_case.py", "failure", fix)


def test_the_last_line_of_a_module_that_cannot_be_loaded_is_shown(machine: Machine, account: accounts.Account) -> None:
    (machine.folder / "deploy_case.py").write_text(f"{MODULE}\nraise ValueError('no model for {account.seed}')\n")
    expect(machine, "modules deploy_case.py", "failure", "last line", found="ValueError: no model for ••••")


def test_a_module_that_is_a_folder_does_not_hide_others(machine: Machine) -> None:
    (machine.folder / "deploy_a.py").mkdir()
    ran, findings = machine.run_doctor(is_elsewhere=False)
    assert findings["modules deploy_a.py"]["severity"] == "failure"
    assert "deploy_case.py" in ran.stdout


def test_two_modules_of_one_image(machine: Machine) -> None:
    (machine.folder / "deploy_same.py").write_text(MODULE)
    (machine.folder / "deploy_same.routes.json").write_text(json.dumps(MANIFEST))
    ran, _ = machine.run_doctor(is_elsewhere=False)
    findings = [each for each in json.loads(ran.stdout)["findings"] if each["name"] == "deploy_same.py"]
    assert "and so does deploy_case.py" in findings[0]["found"]
    assert "another CHUTE_NAME" in findings[0]["fix"]


def test_a_module_name_that_the_platform_rejects(machine: Machine) -> None:
    (machine.folder / "deploy_Case.py").write_text(MODULE)
    expect(machine, "modules deploy_Case.py", "failure", "rename it")


def test_a_module_without_a_manifest(machine: Machine) -> None:
    (machine.folder / "deploy_case.routes.json").unlink()
    expect(machine, "modules deploy_case.py", "note", "--discover deploy_case")


def test_a_broken_manifest(machine: Machine) -> None:
    (machine.folder / "deploy_case.routes.json").write_text("{")
    expect(machine, "modules deploy_case.py", "failure", "discover")


def test_a_manifest_of_another_image(machine: Machine) -> None:
    payload = {**MANIFEST, "image": {"reference": "vendor/other:1"}}
    (machine.folder / "deploy_case.routes.json").write_text(json.dumps(payload))
    expect(machine, "modules deploy_case.py", "failure", "--discover deploy_case")


def write_wallet(machine: Machine, *hotkeys: str, mode: int = 0o600) -> Path:
    folder = machine.folder / ".bittensor" / "wallets" / "w"
    (folder / "hotkeys").mkdir(parents=True)
    seed = accounts.generate_seed()
    payload = json.dumps({"ss58Address": keypair_from_seed(seed).ss58_address, "secretSeed": seed})
    for path in (folder / "coldkeypub.txt", folder / "coldkey", *(folder / "hotkeys" / name for name in hotkeys)):
        path.write_text(payload)
        path.chmod(mode)
    return folder


def test_a_wallet_that_is_its_owners_alone_is_fine(machine: Machine) -> None:
    write_wallet(machine, "h")
    _, findings = machine.run_doctor()
    assert not [name for name in findings if name.startswith("wallet")]


def test_keys_that_others_may_read(machine: Machine) -> None:
    folder = write_wallet(machine, "h", "i", mode=0o644)
    all_of_them = f"chmod 600 {folder}/coldkey {folder}/hotkeys/h {folder}/hotkeys/i"
    expect(machine, "wallet mode", "warning", all_of_them, found="(and 2 more)")


@pytest.mark.parametrize("name", ["hotkeys/h", "coldkeypub.txt"])
def test_a_file_that_does_not_belong_to_a_wallet(machine: Machine, name: str) -> None:
    path = write_wallet(machine, "h") / name
    path.write_bytes(b"$NACL\xff")
    expect(machine, "wallet file", "warning", "restore it from a backup", found=str(path))


def test_a_broken_wallet_link_does_not_stop_other_checks(machine: Machine) -> None:
    (write_wallet(machine) / "hotkeys" / "h").symlink_to("nowhere")
    ran, findings = machine.run_doctor()
    assert findings["wallet wallets"]["severity"] == "note"
    assert "deploy_X.py" in ran.stdout


def test_nothing_secret_is_shown(machine: Machine, account: accounts.Account) -> None:
    machine.edit(account.hotkey, "5" + account.hotkey[1:][::-1])
    ran, _ = machine.run_doctor()
    assert account.seed not in ran.stdout + ran.stderr


def test_the_text_output_shows_groups_and_fixes(machine: Machine) -> None:
    ran = machine._commands.run("--doctor", variables={**machine.variables}, folder=machine.folder)
    assert [line for line in ran.stdout.splitlines() if not line.startswith(" ")] == [
        "environment",
        "docker",
        "account",
        "wallet",
        "modules",
        "platform facts (--doctor --facts explains them; --allow overrules those with *)",
    ]
    assert "2026-05-12, sure: tee-required*" in ran.stdout
    assert max(map(len, ran.stdout.split("platform facts", 1)[1].splitlines()[1:])) <= 80
    assert sys.executable in ran.stdout


def test_problems_that_chutes_would_reject(machine: Machine) -> None:
    cord = '@chute.cord(public_api_path="/put", public_api_method="OPTIONS")\nasync def put(self):\n    return vars(self)\n'
    (machine.folder / "deploy_case.py").write_text(f"{MODULE}\n\n{cord}")
    expect(machine, "modules deploy_case.py", "failure", "POST")


def test_a_module_with_a_placement_that_chutes_rejects(machine: Machine) -> None:
    (machine.folder / "deploy_case.py").write_text(MODULE.replace(PLACEMENT, OLD_PLACEMENT))
    lines = '    tee=True,\n    node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),'
    expect(machine, "modules deploy_case.py", "failure", lines, found="tee is False; include is not set")


@pytest.mark.parametrize(("code", "fix"), [(0, "remove sys.exit()"), (3, "correct the error in the last line")])
def test_a_module_that_ends_when_it_is_loaded(machine: Machine, code: int, fix: str) -> None:
    (machine.folder / "deploy_case.py").write_text(f"{MODULE}\nraise SystemExit({code})\n")
    expect(machine, "modules deploy_case.py", "failure", fix)


@pytest.fixture
def broken_engine_socket(request: pytest.FixtureRequest) -> Iterator[str]:
    """The DOCKER_HOST of an engine with the properties that the test sets."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers = {
                "version": {"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10.24"},
                "info": {
                    "ServerVersion": "20.10.24",
                    "OperatingSystem": "Debian",
                    "Architecture": "x86_64",
                    **request.param,
                },
            }
            is_there = "images" not in self.path
            payload = json.dumps(answers.get(self.path.rpartition("/")[2], {}) if is_there else NO_SUCH_IMAGE).encode()
            self.send_response(200 if is_there else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(socketserver.UnixStreamServer):
        def get_request(self) -> tuple[Any, Any]:
            request, _ = super().get_request()
            return request, ("nobody", 0)

    with tempfile.TemporaryDirectory() as folder, Server(f"{folder}/d.sock", Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"unix://{folder}/d.sock"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("broken_engine_socket", "name", "severity", "fix"),
    [
        ({"Architecture": "aarch64"}, "architecture", "warning", "amd64"),
        ({"Runtimes": {"runc": {}}}, "GPU runtime", "note", "NVIDIA Container Toolkit"),
        ({"DockerRootDir": "/proc"}, "disk space", "warning", "docker system prune"),
    ],
    indirect=["broken_engine_socket"],
)
def test_an_engine_with_missing_features(
    machine: Machine, broken_engine_socket: str, name: str, severity: str, fix: str
) -> None:
    expect(machine, f"docker {name}", severity, fix, DOCKER_HOST=broken_engine_socket)
