"""The unmodified command line of the SDK with the emulator: output and exit codes (PLATFORM.md, section 5).

One whole life cycle of a chute uses real processes of ``chutes``; the rest goes through the fork server, for speed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import requests

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from chutes_wrappers.emulator.tables.user_table import DailyAction
from chutes_wrappers.host.account.keypairs import keypair_from_seed
from tests.commands import Commands
from tests.emulator.api.client import Client
from tests.emulator.tokens import TOKEN
from tests.fork_server import CHUTES as FORKED
from tests.fork_server import TIMEOUT_S
from tests.scenario import make_environment

CHUTES = Path(sys.executable).parent / "chutes"
MODULE = """
from chutes.chute import Chute, NodeSelector
from chutes.image import Image

image = Image(username="tester", name={image!r}, tag={tag!r}).from_base("scratch").add("data.txt", "/app/data.txt")
chute = Chute(
    username="tester", name={name!r}, image=image, tagline={tagline!r},
    tee={tee}, node_selector=NodeSelector({selector}),
)


@chute.cord(path={path!r}, public_api_path={public_path!r}, public_api_method={method!r}, method="POST")
async def greet(self, call: dict) -> dict:
    return {{"hello": call["name"]}}
"""
USUAL = {
    "image": "case",
    "tag": "v1",
    "name": "case",
    "tagline": "",
    "tee": "True",
    "selector": "gpu_count=1, include=['pro_6000']",
    "path": "/greet",
    "public_path": "/greet",
    "method": "POST",
}


@dataclass(frozen=True)
class Developer:
    """A user with a folder, an account and the command line: a real process (``is_real``), or forked from one that has loaded it."""

    platform: RunningPlatform
    account: accounts.Account
    folder: Path
    is_real: bool = False

    def write(self, more: str = "", **different: str) -> None:
        (self.folder / "deploy_case.py").write_text(MODULE.format(**{**USUAL, **different}) + more)

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run ``chutes``. Return its exit code and its output on both streams."""
        ran = self._process(*arguments) if self.is_real else self._forked(*arguments)
        assert "Traceback" not in ran[1], ran[1]
        return ran

    def _forked(self, *arguments: str) -> tuple[int, str]:
        done = Commands(self.folder, self._variables(), FORKED).run(*arguments, stdin_text="y\n")
        return done.code, done.stdout + done.stderr

    def _process(self, *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [str(CHUTES), *arguments],
            cwd=self.folder,
            env=self._variables(),
            input="y\n",
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def _variables(self) -> dict[str, str]:
        own = {"CHUTES_CONFIG_PATH": str(self.folder / "config.ini"), "CHUTES_API_URL": self.platform.url}
        inherited = {name: value for name, value in make_environment().items() if not name.startswith("CHUTES_")}
        return {**inherited, **own, "COLUMNS": "200"}

    def build(self, *more: str) -> tuple[int, str]:
        return self.run("build", "deploy_case:chute", *more)

    def build_and_wait(self) -> None:
        """Build an image without the five seconds that ``--wait`` adds."""
        code, printed = self.build()
        assert (code, "build will run async" in printed) == (0, True), printed
        client = self.client()
        client.get(f"/images/{client.get('/images/').json()['items'][0]['image_id']}/logs")

    def deploy(self, *more: str) -> tuple[int, str]:
        return self.run("deploy", "deploy_case:chute", *more)

    def client(self) -> Client:
        return Client(self.platform.url, self.account)


@pytest.fixture
def developer(tmp_path: Path) -> Iterator[Developer]:
    with run_platform(Settings(registration_token=TOKEN, folder=tmp_path / "state", docker=False)) as platform:
        account = accounts.register(platform.url, "tester", TOKEN)
        accounts.write_config(account, platform.url, tmp_path / "config.ini")
        (tmp_path / "data.txt").write_text("data")
        made = Developer(platform, account, tmp_path)
        made.write()
        yield made


def wallet(folder: Path) -> Path:
    """Create a wallet as Bittensor's tools store it (SDK entrypoint/register.py)."""
    hotkeys = folder / "wallets" / "mine" / "hotkeys"
    hotkeys.mkdir(parents=True)
    seed = accounts.generate_seed()
    address = keypair_from_seed(seed).ss58_address
    (hotkeys / "hot").write_text(json.dumps({"ss58Address": address, "secretSeed": f"0x{seed}"}))
    (hotkeys.parent / "coldkeypub.txt").write_text(json.dumps({"ss58Address": address}))
    return folder / "wallets"


def test_register_writes_an_account_that_works(developer: Developer) -> None:
    (developer.folder / "config.ini").unlink()
    wallets = wallet(developer.folder)
    options = ("--wallets-path", str(wallets), "--wallet", "mine", "--hotkey", "hot")
    code, printed = developer.run("register", "--username", "second", *options)
    assert (code, "Successfully registered username=second" in printed) == (0, True), printed
    code, printed = developer.run("chutes", "list")
    assert (code, "Found 0 matching chutes" in printed) == (0, True), printed
    for username, complaint in (("third", "hotkey is already registered"), ("TESTER", "already exists"), ("-", "3-15")):
        code, printed = developer.run("register", "--username", username, *options)
        assert (code, complaint in printed) == (0, True), printed


def test_from_the_build_to_the_deletion(developer: Developer) -> None:
    real = replace(developer, is_real=True)
    code, printed = real.build("--wait")
    assert (code, "nothing was built" in printed) == (0, True), printed
    code, printed = developer.build()
    assert (code, "already exists" in printed) == (1, True), printed
    code, printed = developer.run("images", "list")
    assert (code, "built and pushed" in printed) == (0, True), printed
    code, printed = developer.run("images", "get", "case:v1")
    assert (code, '"status": "built and pushed"' in printed) == (0, True), printed

    code, printed = real.deploy("--accept-fee")
    assert (code, "Successfully deployed chute case" in printed) == (0, True), printed
    code, printed = developer.run("chutes", "list")
    assert (code, "tester-case" in printed, "POST /greet" in printed, "cold" in printed) == (0, True, True, True), (
        printed
    )
    code, printed = developer.run("chutes", "get", "case")
    assert (code, '"slug": "tester-case"' in printed) == (0, True), printed

    code, printed = developer.run("images", "delete", "case:v1")
    assert (code, "in use" in printed) == (0, True), printed
    code, printed = real.run("chutes", "delete", platform_checks.compute_chute_id("tester", "case"))
    assert (code, "Successfully deleted chute" in printed) == (0, True), printed
    code, printed = developer.run("images", "delete", "case:v1")
    assert (code, "Successfully deleted image" in printed) == (0, True), printed
    code, printed = developer.run("images", "get", "case:v1")
    assert (code, "not found" in printed) == (0, True), printed


def test_what_was_uploaded_is_the_dockerfile_and_its_files(developer: Developer) -> None:
    import io
    import zipfile

    developer.build_and_wait()
    image_id = developer.client().get("/images/case:v1").json()["image_id"]
    upload = developer.platform.state.images.read_upload(image_id)
    assert upload.dockerfile.splitlines() == ["FROM scratch", "ADD data.txt /app/data.txt"]
    with zipfile.ZipFile(io.BytesIO(upload.build_context)) as context:
        assert context.read("data.txt") == b"data"


def test_a_logo_and_a_readme_are_deployed_with_the_chute(developer: Developer) -> None:
    developer.build_and_wait()
    (developer.folder / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    code, printed = developer.deploy("--accept-fee", "--logo", "logo.png")
    assert code == 0, printed
    logo_id = developer.client().get("/chutes/case").json()["logo_id"]
    assert requests.get(f"{developer.platform.url}/logos/{logo_id}", timeout=60).content.startswith(b"\x89PNG")


def test_keys_are_made_listed_and_deleted(developer: Developer) -> None:
    code, printed = developer.run("keys", "create", "--name", "all", "--admin")
    assert (code, "API key created successfully" in printed, '"secret_key": "cpk_' in printed) == (0, True, True), (
        printed
    )
    code, printed = developer.run("keys", "create", "--name", "calls", "--chute-ids", "case", "--action", "invoke")
    assert (code, '"object_id": "case"' in printed) == (0, True), printed
    code, printed = developer.run("keys", "create", "--name", "all")
    assert (code, "Failed to create API key" in printed) == (0, True), printed
    code, printed = developer.run("keys", "list")
    assert (code, "Found 2 matching api_keys" in printed, "invoke" in printed) == (0, True, True), printed
    (all_id,) = (key["api_key_id"] for key in developer.client().get("/api_keys/").json()["items"] if key["admin"])
    code, printed = developer.run("keys", "get", "all")
    assert (code, "not found" in printed) == (0, True), printed  # the platform knows keys by id only here
    code, printed = developer.run("keys", "get", all_id)
    assert (code, '"admin": true' in printed) == (0, True), printed
    code, printed = developer.run("keys", "delete", all_id)
    assert (code, "Successfully deleted api_key" in printed) == (0, True), printed


def test_secrets_are_made_listed_and_deleted(developer: Developer) -> None:
    options = ("--purpose", "case", "--key", "TOKEN", "--value", "hunter2")
    code, printed = developer.run("secrets", "create", *options)
    assert (code, "Did not find target chute case" in printed) == (0, True), printed
    developer.build_and_wait()
    assert developer.client().deploy(image="case:v1").ok
    code, printed = developer.run("secrets", "create", *options)
    assert (code, "Successfully created secret_id=" in printed) == (0, True), printed
    code, printed = developer.run("secrets", "list")
    assert (code, "TOKEN" in printed, "hunter2" in printed) == (0, True, False), printed
    (secret,) = developer.client().get("/secrets/").json()["items"]
    code, printed = developer.run("secrets", "get", secret["secret_id"])
    assert (code, "TOKEN" in printed, "hunter2" in printed) == (0, True, False), printed
    code, printed = developer.run("secrets", "delete", secret["secret_id"])
    assert (code, "Successfully deleted secret" in printed) == (0, True), printed


def test_a_chute_is_shared_and_unshared(developer: Developer) -> None:
    developer.build_and_wait()
    developer.deploy("--accept-fee")
    accounts.register(developer.platform.url, "second", TOKEN)
    options = ("--chute-id", "case", "--user-id", "second")
    code, printed = developer.run("share", *options)
    assert (code, "Successfully shared chute case with second" in printed) == (0, True), printed
    code, printed = developer.run("share", *options, "--remove")
    assert (code, "Successfully unshared" in printed) == (0, True), printed
    code, printed = developer.run("share", "--chute-id", "other", "--user-id", "second")
    assert (code, "Did not find target chute other" in printed) == (0, True), printed


def test_rejected_builds_exit_with_zero(developer: Developer) -> None:
    state, user_id = developer.platform.state, developer.account.user_id
    state.users.set_balance(user_id, 49)
    code, printed = developer.build()
    assert (code, "$50" in printed) == (0, True), printed
    state.users.set_balance(user_id, 100)
    for _ in range(platform_rules.MAX_BUILDS_PER_DAY):
        state.users.record_action(user_id, DailyAction.BUILD)
    code, printed = developer.build()
    assert (code, "per day" in printed) == (0, True), printed
    state.users._database.execute("DELETE FROM counters")  # the next day
    developer.write(tag="1")
    code, printed = developer.build()
    assert (code, "Internal Server Error" in printed) == (0, True), printed


def test_a_failed_build_exits_with_zero_and_blocks_its_tag(developer: Developer) -> None:
    developer.build_and_wait()
    image_id = developer.client().get("/images/case:v1").json()["image_id"]
    developer.platform.state.images.finish_build(image_id, "error: no such package", None)
    code, printed = developer.build()
    assert (code, "already exists" in printed) == (1, True), printed
    code, printed = developer.deploy("--accept-fee")
    assert (code, "not available to be used (yet)" in printed) == (1, True), printed


@pytest.mark.parametrize(
    ("different", "complaint"),
    [
        ({"name": "ab"}, "at least 3 characters"),
        ({"method": "OPTIONS"}, "Validation failure: Unsupported public API method: OPTIONS"),
        ({"path": "/has-dash"}, "Validation failure: Invalid cord path: /has-dash"),
        ({"public_path": "/1a"}, "Validation failure: Invalid cord public path: /1a"),
        ({"tagline": "x" * 1025}, "1024"),
        ({"selector": "gpu_count=1, include=['none']"}, "Invalid GPU identifiers `include`: {'none'}"),
        (
            {"selector": "gpu_count=1"},
            "TEE private deployments are limited at this time due to infrastructure capacity",
        ),
        ({"tee": "False"}, "Only TEE chutes are supported as of 2026-05-12, please set tee=True"),
    ],
)
def test_rejected_deployments_exit_with_zero(developer: Developer, different: dict[str, str], complaint: str) -> None:
    developer.build_and_wait()
    developer.write(**different)
    code, printed = developer.deploy("--accept-fee")
    assert (code, complaint in printed) == (0, True), printed
    assert developer.client().get("/chutes/").json()["total"] == 0


def test_money_size_duplicates_and_quota(developer: Developer) -> None:
    state, user_id = developer.platform.state, developer.account.user_id
    developer.build_and_wait()
    code, printed = developer.deploy()
    assert (code, "DEPLOYMENT FEE NOTICE" in printed, "--accept-fee" in printed) == (0, True, True), printed
    state.users.set_balance(user_id, 0)
    code, printed = developer.deploy("--accept-fee")
    assert (code, "you have a balance of 0" in printed) == (0, True), printed
    state.users.set_balance(user_id, 100)
    developer.write("#" * 150_000)
    code, printed = developer.deploy("--accept-fee")
    assert (code, "150000" in printed) == (0, True), printed[:2000]
    developer.write()
    assert "Successfully deployed" in developer.deploy("--accept-fee")[1]
    code, printed = developer.deploy()
    assert (code, "already exists" in printed) == (0, True), printed
    for _ in range(platform_rules.MAX_VERSIONS_PER_DAY):
        state.users.record_action(user_id, DailyAction.CHUTE)
    developer.write("# another version\n")
    code, printed = developer.deploy()
    assert (code, "per day" in printed) == (0, True), printed


def test_public_is_refused_by_the_sdk_or_by_the_api(developer: Developer) -> None:
    developer.build_and_wait()
    code, printed = developer.deploy("--public", "--accept-fee")
    assert (code, "Unable to create public chutes from non-public images" in printed) == (1, True), printed
    developer.write(tag="v2")
    developer.build("--public")
    code, printed = developer.deploy("--public", "--accept-fee")
    assert (code, "without special permissions" in printed) == (1, True), printed
    developer.platform.state.users.set_permissions(developer.account.user_id, 1 << platform_rules.PUBLIC_CHUTES_BIT)
    code, printed = developer.deploy("--public", "--accept-fee")
    assert (code, "Chutes no longer supports public chutes." in printed) == (0, True), printed


def test_an_unknown_account_is_rejected_everywhere(developer: Developer) -> None:
    stranger = accounts.Account(**{**vars(developer.account), "seed": accounts.generate_seed()})
    accounts.write_config(stranger, developer.platform.url, developer.folder / "config.ini")
    for arguments in (("chutes", "list"), ("images", "get", "case:v1"), ("chutes", "delete", "case")):
        code, printed = developer.run(*arguments)
        assert (code, "Invalid request signature" in printed) == (0, True), printed
    code, printed = developer.deploy("--accept-fee")
    assert (code, "not available to be used (yet)" in printed) == (1, True), printed
