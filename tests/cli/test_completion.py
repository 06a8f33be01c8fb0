"""What a shell completes, typed at that shell."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import pytest

from chutes_wrappers.cli.completion import Modules
from tests.scenario import ROOT, environment

CLEAR_LINE = "\x15"
# Shell → how it is started, what makes it ready, and how it reads the script.
SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"], "bind 'set enable-bracketed-paste off'", "source <({})"),
    "zsh": (["-f", "-i"], "autoload -Uz compinit; compinit -D -u", "source <({})"),
    "fish": (["--no-config", "-i"], "function fish_prompt; echo '> '; end", "{} | source"),
}


@dataclass(frozen=True)
class Shell:
    """A shell in a folder with a module and a link to ``deploy.sh``, which completes it."""

    name: str
    terminal: pexpect.spawn[str]

    def run(self, line: str) -> None:
        """Run a line to its end."""
        self.terminal.sendline(f"{line}; echo en''ded")
        self.terminal.expect("ended")

    def expect_completed(self, typed: str, completed: str) -> None:
        """``completed`` is what Tab makes of ``typed``, or proposes."""
        self.terminal.send(f"{CLEAR_LINE}{typed}\t\t")
        self.terminal.expect_exact(completed)
        self.terminal.send(CLEAR_LINE)


def test_only_names_that_can_be_deployed_are_proposed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("deploy_good.py", "deploy_$(touch pwned).py", "deploy_a b.py", "deploy_;x.py", "deploy_UPPER.py"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    context: Any = None
    assert [each.value for each in Modules().shell_complete(context, context, "deploy_")] == ["deploy_good"]


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    name = request.param
    if not (ROOT / ".venv" / ".complete").exists():
        pytest.skip("the project's own .venv is not set up here: ./setup.sh")
    if shutil.which(name) is None and not os.environ.get("CI"):
        pytest.skip(f"{name} is not installed")
    (tmp_path / "deploy.sh").symlink_to(ROOT / "deploy.sh")
    (tmp_path / "deploy_ocr.py").write_text("")
    arguments, ready, reads = SHELLS[name]
    variables = {**environment(), "HOME": str(tmp_path), "TERM": "xterm", "PS1": "> "}
    terminal = pexpect.spawn(
        name, arguments, cwd=str(tmp_path), env=variables, encoding="utf-8", timeout=30, dimensions=(60, 200)
    )
    started = Shell(name, terminal)
    started.run(ready)
    started.run(reads.format(f"./deploy.sh --completion {name}"))
    yield started
    terminal.close(force=True)


def test_flags_and_modules_are_completed(shell: Shell) -> None:
    shell.expect_completed("./deploy.sh --disc", "over")
    shell.expect_completed("./deploy.sh --build dep", "loy_ocr")
    shell.expect_completed("./deploy.sh --call dep", "loy_ocr")
    shell.expect_completed("~/deploy.sh --discov", "er")


def test_another_program_of_that_name_is_not_run(shell: Shell, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "deploy.sh").write_text(f"#!/bin/sh\necho run >> {tmp_path}/was_run\n")
    (other / "deploy.sh").chmod(0o755)
    shell.run("cd other")
    shell.terminal.send("./deploy.sh --disc\t\t")
    shell.terminal.send(CLEAR_LINE)
    shell.run("true")
    assert not (tmp_path / "was_run").exists()
