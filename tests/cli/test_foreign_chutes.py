"""A name is the account's own: nothing is sent to another user's chute of that name, and nothing of it is changed.

Names on the platform are not unique, a chute is shared without consent, and some routes match names as patterns
(PLATFORM.md, section 5).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import requests

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.manifest import Manifest, write_manifest
from chutes_wrappers.core.platform_checks import compute_chute_id
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.api.context import NewAccounts
from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.records import InstanceState
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from tests.commands import CommandResult, Commands
from tests.emulator.api.client import CODE, Client
from tests.emulator.tokens import TOKEN
from tests.fork_server import TIMEOUT_S
from tests.scenario import READY, Scenario, find_free_port, make_environment, until_interrupted
from tests.upstreams.platform_faults import FAULTS, FaultyPlatform, serve_faulty_platform

NAME = "case-wrapped"  # the name in the module of a Scenario
SECRET = "prompt-that-only-the-own-chute-may-see"
BODY = json.dumps({"name": SECRET})
# The commands that read or call, and those that change something. MODULE is a module whose CHUTE_NAME is NAME.
USES = (
    ("--call", "{}", "/greet", "-d", BODY),
    ("--status", "{}"),
    ("--status", "{}", "--json"),
    ("--status", "{}", "--watch"),
    ("--logs", "{}"),
    ("--warmup", "{}"),
    ("--warmup", "{}", "--no-wait"),
)
CHANGES = (
    ("--delete", "{}", "--yes"),
    ("--share", "{}", "third"),
)


def make_code(service: Path) -> str:
    """Return a chute that writes down what reaches it."""
    return CODE.replace('print("greeting"', f'open({str(service)!r}, "a").write(repr(call)); print("greeting"')


@dataclass(frozen=True)
class World:
    """A user without a chute, and a stranger who has one of the name that the user is going to use."""

    user: Client
    stranger: Client
    platform: FaultyPlatform
    emulator: RunningPlatform
    commands: Commands
    folder: Path
    module: Path
    key: str
    stranger_chute: str

    def run(self, *arguments: str, stdin_text: str = "", **variables: str) -> CommandResult:
        """Run a command; again when a call found no instance, once the requested one is active."""
        ran = self.commands.run(*arguments, stdin_text=stdin_text, variables=variables)
        if "No instances available (yet)" in ran.stderr:
            self._wait_for_instances()
            ran = self.commands.run(*arguments, stdin_text=stdin_text, variables=variables)
        assert "Traceback" not in ran.stderr, ran.stderr
        assert self.key not in ran.stdout + ran.stderr
        return ran

    def _wait_for_instances(self) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while any(
            instance.state is InstanceState.STARTING
            for chute in self.emulator.list_chutes()
            for instance in self.emulator.list_instances(chute.chute_id)
        ):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def deploy_own(self, name: str = NAME) -> str:
        response = self.user.deploy(name=name, code=make_code(self.folder / "own.txt"))
        assert response.ok, response.text
        return str(response.json()["chute_id"])

    def share_unasked(self) -> None:
        body = {"chute_id_or_name": self.stranger_chute, "user_id_or_name": self.user.account.user_id}
        assert self.stranger.post("/chutes/share", body).ok

    def check_stranger_is_untouched(self) -> None:
        assert not (self.folder / "stranger.txt").exists()
        hosts = {request.host.partition(":")[0] for request in self.platform.received}
        assert not any(host.startswith("stranger-") for host in hosts), hosts
        for request in self.platform.received:
            assert unquote(request.path).partition("?")[0].rpartition("/")[2] != NAME, request.path
            if request.changes:
                assert self.stranger_chute not in request.path + request.body.decode("utf-8", "replace")
        assert self.stranger.get(f"/chutes/{self.stranger_chute}").ok


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    settings = Settings(
        registration_token=TOKEN,
        folder=tmp_path / "state",
        docker=False,
        new_accounts=NewAccounts(balance=1000.0, permissions=1 << platform_rules.PUBLIC_CHUTES_BIT),
    )
    with run_platform(settings, HostLauncher()) as emulator, serve_faulty_platform(emulator.url) as platform:
        stranger, user = Client.register(emulator.url, "stranger"), Client.register(emulator.url, "tester")
        Client.register(emulator.url, "third")
        for client in (stranger, user):
            client.build_and_wait()
        deployed = stranger.deploy(name=NAME, code=make_code(tmp_path / "stranger.txt"))
        assert deployed.ok, deployed.text
        accounts.write_config(user.account, platform.url, tmp_path / "config.ini")
        key = user.create_key(admin=False, scopes=[{"object_type": "chutes", "action": "invoke"}])["secret_key"]
        variables = {
            **make_environment(),
            "HOME": str(tmp_path),
            "CHUTES_CONFIG_PATH": str(tmp_path / "config.ini"),
            "CHUTES_API_KEY": key,
        }
        scenario = Scenario(tmp_path, "wrapped", "vendor/unused:1", [9000], static_routes=[{"path": "/greet"}])
        write_manifest(Manifest(), scenario.manifest)
        yield World(
            user=user,
            stranger=stranger,
            platform=platform,
            emulator=emulator,
            commands=Commands(tmp_path, variables),
            folder=tmp_path,
            module=scenario.module,
            key=key,
            stranger_chute=deployed.json()["chute_id"],
        )


def fill(arguments: tuple[str, ...], name: str) -> list[str]:
    return [name if argument == "{}" else argument for argument in arguments]


def test_a_chute_that_the_platform_remembers_as_missing_is_found_in_the_own_list(world: World) -> None:
    own_id = world.deploy_own()  # within 30 s after a lookup that found nothing (PLATFORM.md, section 5)
    admin = world.user.create_key(name="logs", admin=True)["secret_key"]
    not_found = next(fault for fault in FAULTS if fault.name == "404")
    with world.platform.failing(not_found, lambda request: request.path == f"/chutes/{own_id}"):
        for arguments in (USES[0], USES[1], USES[4], USES[5]):
            ran = world.run(*fill(arguments, NAME), CHUTES_API_KEY=admin)
            assert ran.code == 0, ran.stderr
    world.check_stranger_is_untouched()


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_strangers_chute_of_the_name_is_neither_read_called_nor_changed(world: World, is_shared: bool) -> None:
    if is_shared:
        world.share_unasked()
    lines = [fill(arguments, NAME) for arguments in (*USES, *CHANGES)]
    lines += [
        fill(USES[0], str(world.module)),
        ["--forward", str(world.module), "--listen", f"{find_free_port()}:9000"],
    ]
    for line in lines:
        ran = world.run(*line)
        assert (ran.code, ran.stdout) == (1, ""), (line, ran.stderr)
        assert ("stranger's, not tester's" if is_shared else "not found") in ran.stderr, (line, ran.stderr)
    world.check_stranger_is_untouched()


def test_a_secret_belongs_to_the_own_chute_which_must_be_deployed(world: World) -> None:
    world.share_unasked()
    early = world.run("--secret", NAME, "TOKEN", stdin_text=SECRET)
    assert (early.code, "stores secrets of deployed chutes only" in early.stderr) == (1, True), early.stderr
    overruled = world.run("--secret", NAME, "TOKEN", "--allow", "secret-chute", stdin_text=SECRET)
    assert (overruled.code, "Did not find target chute" in overruled.stderr) == (1, True), overruled.stderr
    assert world.user.get("/secrets/").json()["items"] == []
    own_id = world.deploy_own()
    ran = world.run("--secret", NAME, "TOKEN", stdin_text=SECRET)
    assert ran.code == 0, ran.stderr
    (secret,) = world.user.get("/secrets/").json()["items"]
    assert secret["purpose"] == own_id
    assert world.run("--secret", f"stranger/{NAME}", "TOKEN", stdin_text=SECRET).code == 1
    assert world.run("--secret", world.stranger_chute, "TOKEN", stdin_text=SECRET).code == 1
    world.check_stranger_is_untouched()


def test_with_an_own_chute_of_the_name_every_command_uses_that(world: World) -> None:
    world.share_unasked()
    own_id = world.deploy_own()
    for given in (NAME, str(world.module), own_id, f"tester/{NAME}"):
        ran = world.run("--call", given, "/greet", "-d", BODY)
        assert (ran.code, json.loads(ran.stdout or "0")) == (0, {"hello": SECRET}), ran.stderr
        assert json.loads(world.run("--status", given, "--json").stdout)["chute_id"] == own_id
        assert json.loads(world.run("--warmup", given, "--json").stdout)["chute_id"] == own_id
    refused = world.run("--logs", NAME)
    assert (refused.code, "--account --key admin" in refused.stderr) == (1, True), refused.stderr
    admin = world.user.create_key(name="logs", admin=True)["secret_key"]
    assert "greeting" in world.run("--logs", NAME, CHUTES_API_KEY=admin).stdout
    assert json.loads(world.run("--share", NAME, "third", "--json").stdout)["chute_id"] == own_id
    local = find_free_port()
    variables = {"HOME": str(world.folder), "CHUTES_API_KEY": world.key}
    variables["CHUTES_CONFIG_PATH"] = str(world.folder / "config.ini")
    line = ("--forward", str(world.module), "--listen", f"{local}:9000")
    with until_interrupted(*line, variables=variables) as forwarder:
        assert READY in forwarder.output_text
        response = requests.post(f"http://127.0.0.1:{local}/greet", json={"name": SECRET}, timeout=60)
        assert response.json() == {"hello": SECRET}, forwarder.output_text
    assert world.run("--delete", NAME, "--yes").code == 0
    assert world.user.get(f"/chutes/{own_id}").status_code == 404
    assert (world.folder / "own.txt").read_text().count(SECRET) == 5
    world.check_stranger_is_untouched()


def test_the_log_of_another_users_chute_is_refused_and_not_awaited(world: World) -> None:
    """The API returns 404, which --follow took for an instance that is gone: it waited without end for the next one."""
    world.share_unasked()
    for flags in ([], ["--follow"]):
        ran = world.run("--logs", f"stranger/{NAME}", *flags)
        assert (ran.code, ran.stdout, "to its owner only" in ran.stderr) == (1, "", True), ran.stderr


def test_another_users_chute_is_called_by_its_full_name_or_id_and_only_its_owner_changes_it(world: World) -> None:
    world.share_unasked()
    for given in (f"stranger/{NAME}", world.stranger_chute):
        called = world.run("--call", given, "/greet", "-d", '{"name": "you"}')
        assert (called.code, json.loads(called.stdout or "0")) == (0, {"hello": "you"}), called.stderr
        assert f"the chute {NAME} of stranger" in called.stderr
        for change in CHANGES:
            ran = world.run(*fill(change, given))
            assert (ran.code, "only its owner may change it" in ran.stderr) == (1, True), ran.stderr
    assert not [request for request in world.platform.received if request.changes and "localhost" not in request.host]
    for other in (f"third/{NAME}", f"STRANGER/{NAME}", f"stranger/{NAME.upper()}", compute_chute_id("third", NAME)):
        ran = world.run("--call", other, "/greet", "-d", BODY)
        assert (ran.code, "not found" in ran.stderr) == (1, True), (other, ran.stderr)


def test_a_chute_that_is_named_like_an_id_is_not_that_of_the_id(world: World) -> None:
    own_id = compute_chute_id("tester", NAME)
    trap = world.stranger.deploy(name=own_id, code=make_code(world.folder / "stranger.txt")).json()["chute_id"]
    body = {"chute_id_or_name": trap, "user_id_or_name": world.user.account.user_id}
    assert world.stranger.post("/chutes/share", body).ok
    assert world.user.get(f"/chutes/{own_id}").json()["chute_id"] == trap
    for given in (NAME, str(world.module), own_id):
        ran = world.run("--call", given, "/greet", "-d", BODY)
        assert (ran.code, "of stranger" in ran.stderr or "stranger's" in ran.stderr) == (1, True), ran.stderr
    world.check_stranger_is_untouched()
    world.deploy_own()
    assert world.run("--call", NAME, "/greet", "-d", BODY).code == 0
    world.check_stranger_is_untouched()


def test_only_with_a_key_a_name_says_what_to_do_and_an_id_needs_a_key_that_may_read(world: World) -> None:
    own_id = world.deploy_own()
    keyed = {"CHUTES_CONFIG_PATH": str(world.folder / "none.ini"), "CHUTES_API_URL": world.platform.url}
    forward = ["--forward", str(world.module), "--listen", f"{find_free_port()}:9000"]
    for line in (["--call", NAME, "/greet", "-d", BODY], forward):
        ran = world.run(*line, **keyed)
        assert (ran.code, "--url" in ran.stderr, "by its name" in ran.stderr) == (2, True, True), ran.stderr
    assert not world.platform.received
    ran = world.run("--call", own_id, "/greet", "-d", BODY, **keyed)
    assert (ran.code, "may only invoke" in ran.stderr, "--url" in ran.stderr) == (1, True, True), ran.stderr
    admin = world.user.create_key(name="all", admin=True)["secret_key"]
    for given in (own_id, f"tester/{NAME}"):
        assert world.run("--call", given, "/greet", "-d", BODY, **{**keyed, "CHUTES_API_KEY": admin}).code == 0
    url = f"http://tester-{NAME}.localhost:{world.platform.server_address[1]}"
    assert world.run("--call", "any", "/greet", "-d", BODY, "--url", url, **keyed).code == 0
    world.check_stranger_is_untouched()


def test_a_deployment_is_compared_with_the_own_chute_only(world: World) -> None:
    world.share_unasked()
    world.user.build_and_wait(NAME)
    ran = world.run("--deploy", str(world.module), "--accept-fee", "--json")
    assert ran.code == 0, ran.stderr
    assert json.loads(ran.stdout)["chute_id"] == compute_chute_id("tester", NAME)
    assert json.loads(ran.stdout)["changed"] is True
    world.check_stranger_is_untouched()


def test_a_deployment_that_would_replace_another_chute_is_rejected_before_anything_is_sent(world: World) -> None:
    world.deploy_own("my-chat")
    before = world.user.get("/chutes/").json()["items"]
    for name in ("my_chat", "MY-chat", "my_ch_t"):
        source = world.module.read_text().replace(NAME, name)
        module = world.folder / "deploy_other.py"
        module.write_text(source)
        write_manifest(Manifest(), module.with_suffix(".routes.json"))
        ran = world.run("--deploy", str(module), "--accept-fee")
        assert (ran.code, "'my-chat'" in ran.stderr, repr(name) in ran.stderr) == (2, True, True), ran.stderr
    after = world.user.get("/chutes/").json()["items"]
    assert [item["version"] for item in after] == [item["version"] for item in before]
    assert not [request for request in world.platform.received if request.changes]


def test_a_chute_is_not_shared_with_a_user_whose_name_only_matches(world: World) -> None:
    own_id = world.deploy_own()
    similar, meant = Client.register(world.emulator.url, "bob_x"), Client.register(world.emulator.url, "b_b_x")
    for user in ("b_b_x", "%", "b%", "bob x", "../x", ""):
        ran = world.run("--share", NAME, user)
        assert ran.code == 2, ran.stderr
    assert "user_id" in world.run("--share", NAME, "b_b_x").stderr
    assert not world.platform.received
    shown = world.run("--share", NAME, meant.account.user_id)
    assert (shown.code, "b_b_x" in shown.stderr) == (0, True), shown.stderr
    assert meant.get(f"/chutes/{own_id}").ok
    assert similar.get(f"/chutes/{own_id}").status_code == 404


def test_a_share_with_another_user_than_the_one_named_is_undone(world: World) -> None:
    own_id = world.deploy_own()
    third = Client.register(world.emulator.url, "Fourth")
    ran = world.run("--share", NAME, "fourth")
    assert (ran.code, "'Fourth'" in ran.stderr, "'fourth'" in ran.stderr) == (1, True, True), ran.stderr
    assert "undone" in ran.stderr
    assert third.get(f"/chutes/{own_id}").status_code == 404


def test_a_strangers_image_is_neither_deployed_nor_deleted(world: World) -> None:
    world.stranger.build_and_wait(NAME, "v1", public="True")
    image: Any = world.stranger.get(f"/images/{NAME}:v1").json()
    for reference in (f"{NAME}:v1", f"stranger/{NAME}:v1", image["image_id"]):
        ran = world.run("--delete-image", reference, "--yes")
        assert ran.code == 1, ran.stderr
    assert "stranger" in ran.stderr
    ran = world.run("--deploy", str(world.module), "--accept-fee")
    assert (ran.code, f"image {NAME}:v1 not found" in ran.stderr) == (2, True), ran.stderr
    assert not [request for request in world.platform.received if request.changes]
    assert world.stranger.get(f"/images/{NAME}:v1").ok
