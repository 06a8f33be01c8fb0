"""The commands that show and change objects of the platform, run on the command line against the emulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import pytest

from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from tests.commands import CommandResult, Commands
from tests.emulator.api.client import CODE, Client
from tests.emulator.tokens import TOKEN
from tests.scenario import ROOT, Scenario
from tests.terminal import Terminal

PRINTING = CODE.replace('print("greeting"', "print('\\x1b]0;owned\\x07greeting ' + call['name']")
BROKEN = CODE + "\nraise RuntimeError('no model here')\n"


@dataclass(frozen=True)
class World:
    """A user with a hot chute, and the command line."""

    user: Client
    platform: RunningPlatform
    commands: Commands
    folder: Path
    variables: dict[str, str]

    def run(self, *arguments: str, stdin_text: str = "") -> CommandResult:
        return self.commands.run(*arguments, stdin_text=stdin_text)

    def run_json(self, *arguments: str, stdin_text: str = "") -> Any:
        ran = self.run(*arguments, "--json", stdin_text=stdin_text)
        assert ran.code == 0, ran.stderr
        return json.loads(ran.stdout)

    def at_terminal(self, *arguments: str) -> Terminal:
        return Terminal(arguments, variables={**self.variables, "TERM": "dumb"})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with run_platform(
        Settings(registration_token=TOKEN, folder=folder / "state", docker=False), HostLauncher()
    ) as platform:
        user = Client.register(platform.url, "tester")
        Client.register(platform.url, "second")
        user.build_and_wait()
        assert user.deploy(code=PRINTING).ok
        assert user.get("/chutes/warmup/case").ok
        accounts.write_config(user.account, platform.url, folder / "config.ini")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("CHUTES_", "CHUTE_"))}
        key = user.create_key(admin=True)["secret_key"]
        variables = {
            **environment,
            "HOME": str(folder),
            "CHUTES_CONFIG_PATH": str(folder / "config.ini"),
            "CHUTES_API_KEY": key,
            "PYTHONPATH": str(ROOT),
        }
        yield World(user, platform, Commands(folder, variables), folder, variables)


def test_images_and_chutes_are_listed(world: World) -> None:
    assert "case:v1" in world.run("--list-images").stdout
    assert [image["status"] for image in world.run_json("--list-images")] == ["built and pushed"]
    output_text = world.run("--list-chutes").stdout
    assert ("case" in output_text, "hot" in output_text, "private" in output_text) == (True, True, True)
    assert [chute["name"] for chute in world.run_json("--list-chutes")] == ["case"]


def test_the_account_is_shown_without_its_keys(world: World) -> None:
    ran = world.run("--account")
    assert ("tester" in ran.stdout, "$" in ran.stdout) == (True, True)
    assert world.user.account.payment_address in ran.stdout
    payload = world.run_json("--account")
    assert (payload["username"], payload["may_publish"]) == ("tester", False)
    assert world.user.account.seed not in ran.stdout + ran.stderr + json.dumps(payload)


def test_the_status_of_a_chute_shows_its_url_and_instances(world: World) -> None:
    output_text = world.run("--status", "case").stdout
    for expected in ("hot", "case:v1", f"tester-case.localhost:{world.platform.port}", "/greet", "active"):
        assert expected in output_text
    payload = world.run_json("--status", "case")
    assert (payload["hot"], "code" in payload) == (True, False)


def test_a_module_can_be_given_instead_of_the_chutes_name(world: World) -> None:
    scenario = Scenario(world.folder, "wrapped", "vendor/unused:1", [9000])
    ran = world.run("--status", str(scenario.module))
    assert ran.code == 1
    assert "case-wrapped" in ran.stderr


def test_an_unknown_name_suggests_the_nearest(world: World) -> None:
    ran = world.run("--status", "cas")
    assert ran.code == 1
    assert "did you mean case?" in ran.stderr
    ran = world.run("--delete-image", "case:v2", "--yes")
    assert "did you mean case:v1?" in ran.stderr


def test_the_log_of_the_newest_instance_is_shown_without_control_characters(world: World) -> None:
    assert world.run("--call", "case", "/greet", "-d", '{"name": "you"}').code == 0
    ran = world.run("--logs", "case")
    assert ran.code == 0, ran.stderr
    assert "greeting you" in ran.stdout
    assert "\x1b" not in ran.stdout
    lines = [json.loads(line) for line in world.run("--logs", "case", "--json").stdout.splitlines()]
    assert any("greeting you" in line["log"] for line in lines)


def test_a_log_needs_an_api_key(world: World) -> None:
    ran = world.commands.run("--logs", "case", variables={"CHUTES_API_KEY": ""})
    assert (ran.code, "no API key found" in ran.stderr, "--key admin" in ran.stderr) == (2, True, True), ran.stderr


def test_a_log_that_is_followed_goes_on_with_the_next_instance(world: World) -> None:
    assert world.user.deploy(name="followed", code=PRINTING).ok
    assert world.user.get("/chutes/warmup/followed", quick="true").ok
    following = world.at_terminal("--logs", "followed", "--follow")
    following.expect("instance [0-9a-f]{8} of followed")
    assert world.user.deploy(name="followed", code=PRINTING + "# another version\n").ok
    following.expect("instance [0-9a-f]{8} of followed")
    following.sendintr()
    following.expect(pexpect.EOF)
    following.close()
    assert following.exitstatus == 130
    world.user.delete_chute("followed")


def test_a_warm_up_ends_when_an_instance_is_active(world: World) -> None:
    payload = world.run_json("--warmup", "case")
    assert (payload["status"], len(payload["instances"])) == ("hot", 1)


def test_a_warm_up_that_cannot_succeed_fails_immediately_with_the_reason(world: World) -> None:
    assert world.user.deploy(name="broken", code=BROKEN).ok
    ran = world.run("--warmup", "broken")
    assert ran.code == 1
    assert "no model here" in ran.stderr
    assert "--logs broken --startup" in ran.stderr
    assert "no model here" in world.run("--status", "broken").stdout
    assert "no model here" in world.run("--logs", "broken").stdout
    world.user.delete_chute("broken")


def test_what_a_failed_start_printed_is_decrypted_for_its_owner(world: World) -> None:
    chute_id = world.user.deploy(name="failing", code=BROKEN).json()["chute_id"]
    for _ in range(2):
        assert world.user.get(f"/chutes/warmup/{chute_id}").ok  # until the instance has ended
    sessions = world.user.get(f"/encrypted_logs/{chute_id}/sessions", "chutes").json()
    older, newer = (session["instance_id"] for session in sorted(sessions, key=lambda session: session["started_at"]))
    ran = world.run("--logs", "failing", "--startup")
    assert (ran.code, "no model here" in ran.stdout) == (0, True), ran.stderr
    assert (newer[:8] in ran.stderr, f"other startup logs: instance {older[:8]}" in ran.stderr) == (True, True)
    lines = world.run("--logs", "failing", "--startup", "--instance", older[:6], "--json").stdout.splitlines()
    assert {json.loads(line)["instance_id"] for line in lines} == {older}
    assert world.user.account.seed not in ran.stdout + ran.stderr
    world.user.delete_chute("failing")


def test_a_chute_without_failed_starts_has_no_startup_log(world: World) -> None:
    ran = world.run("--logs", "case", "--startup")
    assert (ran.code, "for 4 hours" in ran.stderr, "--warmup case" in ran.stderr) == (1, True, True)
    ran = world.run("--logs", "case", "--startup", "--instance", "x", "--follow")
    assert (ran.code, "--follow" in ran.stderr) == (2, True)


def test_a_chute_is_shared_by_name(world: World) -> None:
    assert world.run_json("--share", "case", "second")["shared"] is True
    ran = world.run("--share", "case", "nobody")
    assert (ran.code, "Could not find target user to share with" in ran.stderr) == (1, True), ran.stderr
    assert "ask that user" in ran.stderr


def test_a_secret_comes_from_standard_input_and_is_shown_nowhere(world: World) -> None:
    ran = world.run("--secret", "case", "HF_TOKEN", stdin_text="hf_value\n")
    assert ran.code == 0, ran.stderr
    assert "hf_value" not in ran.stdout + ran.stderr
    assert [one["key"] for one in world.user.get("/secrets/").json()["items"]] == ["HF_TOKEN"]
    again = world.run("--secret", "case", "HF_TOKEN", stdin_text="other")
    assert (again.code, ".venv/bin/chutes secrets delete" in again.stderr) == (1, True)
    assert world.run("--secret", "case", "EMPTY").code == 2
    assert world.run("--secret", "case", "NOT A NAME", stdin_text="x").code == 2
    for name in ("Case", "c_se"):
        ran = world.run("--secret", name, "OTHER", stdin_text="x")
        assert (ran.code, "--secret case OTHER" in ran.stderr) == (2, True), ran.stderr


def test_a_secret_is_asked_for_without_showing_it(world: World) -> None:
    asking = world.at_terminal("--secret", "case", "TYPED")
    asking.expect("Value of TYPED")
    asking.sendline("typed-value")
    asking.expect(pexpect.EOF)
    asking.close()
    assert (asking.exitstatus, "typed-value" in str(asking.before)) == (0, False)


def test_a_chute_is_deleted_by_its_exact_name(world: World) -> None:
    assert world.user.deploy(name="gone").ok
    other_case = world.run("--delete", "GONE", "--yes")
    assert (other_case.code, "did you mean gone?" in other_case.stderr) == (1, True)
    unasked = world.run("--delete", "gone")
    assert (unasked.code, "--yes" in unasked.stderr) == (2, True)
    assert world.user.get("/chutes/gone").ok
    assert world.run_json("--delete", "gone", "--yes")["deleted"] is True
    assert world.user.get("/chutes/gone").status_code == 404


def test_a_deletion_is_confirmed_by_typing_the_name(world: World) -> None:
    assert world.user.deploy(name="typed").ok
    for typed, code in (("no", 1), ("typed", 0)):
        asking = world.at_terminal("--delete", "typed")
        asking.expect("Type typed to delete it")
        asking.sendline(typed)
        asking.expect(pexpect.EOF)
        asking.close()
        assert asking.exitstatus == code
    assert world.user.get("/chutes/typed").status_code == 404


def test_an_image_in_use_names_its_chutes_and_a_failed_one_can_go(world: World) -> None:
    ran = world.run("--delete-image", "case:v1", "--yes")
    assert (ran.code, "--delete case" in ran.stderr) == (1, True)
    assert world.user.build_and_wait("spare")["status"] == "built and pushed"
    assert world.run_json("--delete-image", "spare:v1", "--yes")["deleted"] is True
    assert world.user.get("/images/spare:v1").status_code == 404


def test_without_an_account_the_next_step_is_to_create_one(world: World) -> None:
    ran = world.commands.run("--list-chutes", variables={"CHUTES_CONFIG_PATH": str(world.folder / "none.ini")})
    assert (ran.code, "setup.sh --account" in ran.stderr) == (2, True)


@pytest.mark.parametrize("arguments", [("--status", ""), ("--delete", " ", "--yes"), ("--list-chutes", "--follow")])
def test_invalid_usage_is_rejected(world: World, arguments: tuple[str, ...]) -> None:
    assert world.run(*arguments).code == 2


def test_a_status_is_watched_line_by_line_until_ctrl_c(world: World) -> None:
    assert world.run("--warmup", "case").code == 0
    process = world.at_terminal("--status", "case", "--watch", "0.2")
    process.expect("case .*hot")
    process.sendcontrol("c")
    process.expect(pexpect.EOF)
    process.close()
    assert process.exitstatus == 0


def test_watching_an_unknown_chute_fails(world: World) -> None:
    ran = world.run("--status", "cas", "--watch")
    assert (ran.code, "did you mean case?" in ran.stderr) == (1, True)


def test_the_log_of_an_instance_by_the_beginning_of_its_id(world: World) -> None:
    instance = world.run_json("--warmup", "case")["instances"][0]
    assert "Added new API route" in world.run("--logs", "case", "--instance", instance[:6]).stdout
    ran = world.run("--logs", "case", "--instance", "nothing")
    assert (ran.code, instance in ran.stderr) == (2, True)


def test_a_warm_up_without_waiting_names_the_command_to_follow_it(world: World) -> None:
    assert world.run_json("--warmup", "case", "--no-wait")["status"] == "asked"


def test_a_chute_is_kept_hot_for_some_seconds(world: World) -> None:
    ran = world.run("--warmup", "case", "--keep", "1.5")
    assert ran.code == 0, ran.stderr
    assert "Keeping case hot for 2 s" in ran.stderr


def test_the_cost_of_a_module_needs_no_account(world: World) -> None:
    Scenario(world.folder, "cost", "vendor/unused:1", [9090])
    payload = json.loads(
        world.commands.run(
            "--cost",
            "deploy_cost",
            "--json",
            variables={"CHUTES_CONFIG_PATH": str(world.folder / "none.ini"), "CHUTES_API_URL": world.platform.url},
        ).stdout
    )
    assert (payload["gpu_count"], payload["usd_per_hour"], payload["first_deployment_usd"]) == (
        1,
        {"pro_6000": 1.8},
        5.4,
    )
    output_text = world.run("--cost", "deploy_cost")
    assert ("per hour" in output_text.stdout, "first deployment" in output_text.stderr) == (True, True)


def test_a_secret_that_is_not_text_is_rejected(world: World) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "chutes_wrappers.cli.main", "--secret", "case", "TOKEN"],
        cwd=ROOT,
        env=world.variables,
        input=b"\xff\xfe",
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, b"not UTF-8" in done.stderr, b"Traceback" in done.stderr) == (2, True, False)


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_ctrl_c_and_the_end_of_input_at_a_question_delete_nothing(world: World, key: str) -> None:
    process = world.at_terminal("--delete", "case")
    process.expect("Type case")
    process.send(key)
    process.expect("interrupted")
    process.expect(pexpect.EOF)
    process.close()
    assert process.exitstatus == 130
    assert world.run("--status", "case").code == 0
