"""The menu's entries that use the platform, with success, on a real terminal with the emulator."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from chutes_wrappers.cli.menu import ENTRIES
from chutes_wrappers.core.manifest import Manifest, write_manifest
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.server import Settings, run_platform
from tests.emulator.api.client import CODE, Client
from tests.emulator.tokens import TOKEN
from tests.scenario import ROOT, Scenario
from tests.terminal import Terminal

GO_ON = "Enter goes on, q quits: "
STATIC = [{"path": "/a", "method": "GET", "port": 9090}]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """The menu of a user with a deployed chute, and with a module that is not on the platform yet."""
    with run_platform(
        Settings(registration_token=TOKEN, folder=tmp_path / "state", docker=False), HostLauncher()
    ) as platform:
        user = Client.register(platform.url, "tester")
        Client.register(platform.url, "second")
        user.build_and_wait("case-menu")
        assert user.deploy(name="case-menu", image="case-menu:v1", code=CODE).ok
        accounts.write_config(user.account, platform.url, tmp_path / "config.ini")
        Scenario(tmp_path, "menu", "vendor/unused:1", [9090])
        Scenario(tmp_path, "new", "vendor/unused:1", [9090], static_routes=STATIC)
        write_manifest(Manifest(), tmp_path / "deploy_new.routes.json")
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("CHUTES_", "CHUTE_"))}
        process = Terminal(
            [],
            folder=tmp_path,
            variables={
                **variables,
                "HOME": str(tmp_path),
                "CHUTES_CONFIG_PATH": str(tmp_path / "config.ini"),
                "CHUTES_API_KEY": user.create_key(admin=True)["secret_key"],
                "DOCKER_HOST": f"unix://{tmp_path}/nowhere.sock",
                "PYTHONPATH": str(ROOT),
                "TERM": "dumb",
                "NO_COLOR": "1",
            },
            dimensions=(60, 120),
        )
        yield process
        process.close(force=True)


# Entry → the answers to its questions, including those of its command, and the expected output.
PLAYED = (
    ("List images", (), "case-menu:v1"),
    ("List chutes", (), "case-menu"),
    ("Account info", (), "balance"),
    ("Chute status", (("Chute", "case-menu"), ("live view", "")), "/greet"),
    ("Warm up", (("Chute", "1"), ("how many seconds", "")), "is hot"),
    ("Call a route", (("Chute", "case-menu"), ("Path", "/greet"), ("JSON body", '{"name": "you"}')), '"hello": "you"'),
    ("Logs", (("Chute", ""), ("Follow", "")), "greeting"),
    ("Share", (("Chute", ""), ("which user", "second")), "second"),
    ("Set a secret", (("Chute", ""), ("Variable", "TOKEN"), ("Value of TOKEN", "hidden")), "have TOKEN"),
    ("Cost", (("Module", "2"),), "per hour"),
    ("Build chute", (("Module", "2"), ("Build here", "n"), ("directly all the same", "y")), "built and pushed"),
    ("Deploy chute", (("Module", ""), (r"\[y/N\]", "y")), "is deployed"),
    ("Delete chute", (("Chute", "case-menu"), ("Type case-menu", "case-menu")), "was deleted"),
    ("Delete image", (("Image", "case-menu:v1"), ("Type case-menu:v1", "case-menu:v1")), "was deleted"),
    ("Shell completion", (("bash, zsh or fish", "fish"),), "_complete_deploy_sh"),
)


def test_what_the_menu_does_on_the_platform_succeeds(terminal: Terminal) -> None:
    numbers = {entry.title: number for number, entry in enumerate(ENTRIES, start=1)}
    for title, replies, expected in PLAYED:
        terminal.expect("What to do")
        terminal.sendline(str(numbers[title]))
        for question, reply in replies:
            terminal.expect(question)
            terminal.sendline(reply)
        terminal.expect_exact(GO_ON)
        output_text = str(terminal.before)
        assert expected in output_text, f"{title}: {output_text}"
        assert "exit code" not in output_text, f"{title}: {output_text}"
        assert "hidden" not in output_text
        terminal.sendline("")
    terminal.expect("What to do")
    shown = " ".join(str(terminal.before).split())
    assert "deploy_new 0 routes built and pushed" in shown
    assert "deploy_menu none not built not deployed" in shown
    terminal.sendline("q")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
