"""The menu, on a real terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from chutes_wrappers.cli.menu import ENTRIES
from tests.scenario import ROOT, Scenario, make_environment
from tests.terminal import Terminal

_PROMPT = r"What to do \(number, or flags as on the command line; q quits\): "
SEED = (
    *("List images", "List chutes", "Build chute", "Run in Docker (GPU)", "Run dev mode (host)", "Deploy chute"),
    *("Chute status", "Delete chute", "Account info"),
)


@pytest.fixture(params=[60, 100])
def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    """A menu in a folder with one module, without an account and without an engine."""
    Scenario(tmp_path, "menu", "vendor/unused:1", [9090])
    variables = {
        **make_environment(),
        "DOCKER_HOST": f"unix://{tmp_path}/nowhere.sock",
        "CHUTES_CONFIG_PATH": str(tmp_path / "none.ini"),
        "CHUTES_API_URL": "http://127.0.0.1:9",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "TERM": "xterm",
    }
    process = Terminal([], folder=tmp_path, variables=variables, dimensions=(40, request.param))
    yield process
    process.close(force=True)


def ended(terminal: Terminal) -> int | None:
    terminal.expect(pexpect.EOF)
    terminal.close()
    return terminal.exitstatus


def test_the_first_nine_entries_are_the_documented_ones() -> None:
    assert tuple(entry.title for entry in ENTRIES[:9]) == SEED


def test_entries_and_the_state_of_the_modules_fit_the_terminal(terminal: Terminal) -> None:
    terminal.expect(_PROMPT)
    shown = str(terminal.before)
    assert all(entry.title in shown for entry in ENTRIES)
    assert "deploy_menu" in shown
    lines = [line.rstrip("\r") for line in shown.split("\n")]
    assert [line for line in map(plain, lines) if len(line) > terminal.getwinsize()[1]] == []


def test_flags_are_accepted_as_on_the_command_line(terminal: Terminal) -> None:
    for typed, said in (
        ("--cost deploy_nowhere --json", "deploy module 'deploy_nowhere' not found"),
        ("--bild deploy_menu", "Did you mean --build"),
        ("cost deploy_nowhere", "deploy module 'deploy_nowhere' not found"),
        ("bild deploy_menu", "unknown entry"),
        ("--data '{", "is not a valid command line"),
        ("--quiet -y", "has no command"),
        ("--version", "chutes-wrappers "),
        ("--help try", "Try it on this machine"),
    ):
        terminal.expect(_PROMPT)
        terminal.sendline(typed)
        terminal.expect(said)
        if said not in ("has no command", "is not a valid command line", "unknown entry"):
            terminal.expect("Enter goes on")
            terminal.sendline("b")
    terminal.expect(_PROMPT)
    terminal.sendline("q")
    assert ended(terminal) == 0


def test_an_unknown_state_has_its_reason(terminal: Terminal) -> None:
    terminal.expect(_PROMPT)
    assert "?: no Chutes account is set up; enter 21 for the fix" in str(terminal.before)
    assert ENTRIES[20].title == "Doctor"


def plain(line: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line.rpartition("\r")[2])


def test_invalid_input_is_asked_again_and_b_goes_back(terminal: Terminal) -> None:
    terminal.expect(_PROMPT)
    terminal.sendline("99")
    terminal.expect("unknown entry")
    terminal.expect(_PROMPT)
    terminal.sendline("3")
    terminal.expect(r"Module \[deploy_menu\]")
    terminal.sendline("7")
    terminal.expect("unknown number 7")
    terminal.expect(r"Module \[deploy_menu\]")
    terminal.sendline("b")
    terminal.expect(_PROMPT)
    terminal.sendline("q")
    assert ended(terminal) == 0


# The answers at each entry, and the resulting command line.
ASKED: dict[str, tuple[list[str], str]] = {
    "List images": ([], "--list-images"),
    "List chutes": ([], "--list-chutes"),
    "Build chute": (["", "n"], "--build deploy_menu"),
    "Run in Docker (GPU)": ([""], "--run-docker deploy_menu"),
    "Run dev mode (host)": (["deploy_nowhere", "9000"], "--run deploy_nowhere --port 9000"),
    "Deploy chute": (["1"], "--deploy deploy_menu"),
    "Chute status": (["", "perhaps", "n"], "--status case-menu"),
    "Delete chute": ([""], "--delete case-menu"),
    "Account info": ([], "--account"),
    "Create from an image": (["", "no image!", ""], "--create 'no image!'"),
    "Discover routes": (["deploy_nowhere", "y"], "--discover deploy_nowhere --check"),
    "Emulate": (["deploy_nowhere", ""], "--emulate deploy_nowhere --check"),
    "Cost": (["deploy_nowhere"], "--cost deploy_nowhere"),
    "Logs": (["", ""], "--logs case-menu"),
    "Warm up": (["", "soon", "5"], "--warmup case-menu --keep 5"),
    "Call a route": (["", "/a", '{"b": 1}'], "--call case-menu /a --data '{\"b\": 1}'"),
    "Forward its API": (["deploy_nowhere"], "--forward deploy_nowhere"),
    "Share": (["", "second"], "--share case-menu second"),
    "Set a secret": (["", "TOKEN"], "--secret case-menu TOKEN"),
    "Delete image": (["case-menu:v1"], "--delete-image case-menu:v1"),
    "Doctor": ([], "--doctor"),
    "Shell completion": (["tcsh"], "--completion tcsh"),
    "Copy a template": (["deploy_nowhere"], "--template deploy_nowhere"),
    "Verify deployed chute": (["deploy_nowhere"], "--verify deploy_nowhere"),
    "Disable": ([""], "--disable case-menu"),
    "Enable": ([""], "--enable case-menu"),
    "Change settings": (["", "max_instances=2"], "--set case-menu max_instances=2"),
    "Roll back": ([""], "--rollback case-menu"),
}


@pytest.mark.parametrize("terminal", [60], indirect=True)
def test_every_entry_prints_the_command_line_that_it_runs(terminal: Terminal) -> None:
    for number, (title, (answers, line)) in enumerate(ASKED.items(), start=1):
        assert ENTRIES[number - 1].title == title
        terminal.expect(_PROMPT)
        terminal.sendline(str(number))
        for answer in answers:
            terminal.expect(r": $")
            terminal.sendline(answer)
        terminal.expect_exact(f"$ ./deploy.sh {line}")
        if terminal.expect(["Enter goes on", "it is not shown"]) == 1:
            terminal.sendline("hidden")
            terminal.expect("Enter goes on")
            assert "hidden" not in str(terminal.before)
        assert "Traceback" not in str(terminal.before)
        terminal.sendline("")
    terminal.expect(_PROMPT)
    terminal.sendline("q")
    assert ended(terminal) == 0


@pytest.mark.parametrize(("key", "code"), [("\x03", 130), ("\x04", 0)])
def test_ctrl_c_and_end_of_input_end_the_menu(terminal: Terminal, key: str, code: int) -> None:
    terminal.expect(_PROMPT)
    terminal.send(key)
    assert ended(terminal) == code
