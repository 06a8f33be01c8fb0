"""The questions of ``--discover``, asked on a real terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.scenario import Scenario, make_environment, run_command
from tests.terminal import Terminal


@pytest.fixture
def module(tmp_path: Path) -> str:
    return str(Scenario(tmp_path, "asks", "vendor/unused:1", [9090]).module)


@pytest.fixture
def terminal(module: str, tmp_path: Path) -> Iterator[Terminal]:
    """``--discover`` on a terminal of 60 columns, without an engine."""
    variables = {**make_environment(), "DOCKER_HOST": f"unix://{tmp_path}/nowhere.sock"}
    process = Terminal(["--discover", module], variables=variables, dimensions=(24, 60))
    yield process
    process.close(force=True)


def wait_for_exit(terminal: Terminal) -> tuple[str, int | None]:
    terminal.expect(pexpect.EOF)
    output_text = terminal.before
    terminal.close()
    return str(output_text), terminal.exitstatus


def test_enter_selects_the_seeds_defaults_and_an_invalid_reply_is_asked_again(terminal: Terminal) -> None:
    terminal.expect(r"Startup delay.*\[120")
    terminal.sendline("soon")
    terminal.expect("not a valid")
    terminal.expect(r"Startup delay.*\[120")
    terminal.sendline("1")
    terminal.expect(r"Probe timeout.*\[180")
    terminal.sendline("")
    terminal.expect(r"gpus.*\[all\]")
    terminal.sendline("")
    output_text, code = wait_for_exit(terminal)
    assert "no Docker engine is reachable" in output_text
    assert code == 1


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_ctrl_c_and_the_end_of_input_end_it(terminal: Terminal, key: str) -> None:
    terminal.expect("Startup delay")
    terminal.send(key)
    output_text, code = wait_for_exit(terminal)
    assert "interrupted" in output_text
    assert code == 130


def test_without_a_terminal_the_error_names_the_flag_to_add(module: str) -> None:
    done = run_command("--discover", module)
    assert done.returncode == 2
    assert "--startup-delay" in done.stderr
    assert "--yes" in done.stderr
