"""Completion in real shells."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import pytest

from chutes_wrappers.cli.completion import VARIABLE, build_script
from chutes_wrappers.cli.main import deploy
from chutes_wrappers.cli.verbs.groups import VERBS
from chutes_wrappers.cli.verbs.values import ModuleName
from tests.scenario import ROOT, make_environment

CLEAR_LINE = "\x15"
# Shell → the command that starts it, the lines that prepare it, and the line that reads the script.
SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"], "bind 'set enable-bracketed-paste off'", "source <({})"),
    "zsh": (["-f", "-i"], "autoload -Uz compinit; compinit -D -u", "source <({})"),
    "fish": (["--no-config", "-i"], "function fish_prompt; echo '> '; end", "{} | source"),
}


@dataclass(frozen=True)
class Shell:
    """A shell in a folder with a module and a link to ``deploy.sh``, which completes it."""

    name: str
    folder: Path
    terminal: pexpect.spawn[str]

    def run(self, line: str) -> None:
        """Run a line to its end."""
        self.terminal.sendline(f"{line}; echo en''ded")
        self.terminal.expect("ended")

    def expect_completed(self, typed: str, completed: str) -> None:
        """Type ``typed`` and Tab, and expect ``completed`` as the only completion."""
        self.terminal.send(f"{CLEAR_LINE}{typed}\t")
        self.terminal.expect_exact(completed)
        self.terminal.send(CLEAR_LINE)


def test_only_names_that_can_be_deployed_are_proposed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("deploy_good.py", "deploy_$(touch pwned).py", "deploy_a b.py", "deploy_;x.py", "deploy_UPPER.py"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    context: Any = None
    assert [each.value for each in ModuleName().shell_complete(context, context, "deploy_")] == ["deploy_good"]


def completed(*words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the completions for these words; the cursor is at the last one."""
    monkeypatch.setenv(VARIABLE, "lines_complete")
    monkeypatch.setenv("_DEPLOY_SH_WORDS", "\n".join(["./deploy.sh", *words[:-1]]))
    monkeypatch.setenv("_DEPLOY_SH_WORD", words[-1])
    with pytest.raises(SystemExit):
        deploy(["--doctor"], prog_name="./deploy.sh", complete_var=VARIABLE)
    return [line.split("\t")[1] for line in capsys.readouterr().out.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "proposed"),
    [
        (["--buil"], ["--build", "--buildah"]),
        (["buil"], ["build"]),
        (["list"], ["list-images", "list-chutes"]),
        (["--json", "stat"], ["status"]),
        (["--build", "dep"], ["deploy_good"]),
        (["build", "dep"], ["deploy_good"]),
        (["--local", "--build", "dep"], ["deploy_good"]),
        (["build", "--local", "dep"], ["deploy_good"]),
        (["--call", "dep"], ["deploy_good"]),
        (["call", "deploy_good", "dep"], []),
        (["--status", "x", "--wa"], ["--watch"]),
        (["status", "x", "--wa"], ["--watch"]),
        (["--watch", "--status", "x", "--wa"], []),
        (["emulate", "deploy_good", "--"], "emulate"),
        (["--emulate", "deploy_good", "--"], "emulate"),
        (["completion", "z"], ["zsh"]),
        (["--completion", ""], ["bash", "zsh", "fish"]),
        (["build", "'dep"], ["deploy_good"]),
        (["template", "deploy_s"], ["deploy_search"]),
        (["--template", "deploy_s"], ["deploy_search"]),
        (["--data", "--logs", "--call", "dep"], ["deploy_good"]),
        (["--watch", "status", "dep"], ["deploy_good"]),
        (["--build=dep"], ["--build=deploy_good"]),
        (["--doctor", "dep"], ["deploy_good"]),
        (["doctor", "deploy_good", "--json", "dep"], ["deploy_good"]),
        (["--doctor=dep"], ["--doctor=deploy_good"]),
        (["--local", "--build=dep"], ["--build=deploy_good"]),
        (["--build", "=", "dep"], ["deploy_good"]),  # as bash splits it
        (["--build", "="], ["deploy_good"]),
        (["--build", "=", "deploy_good", "--loc"], ["--local"]),
        (["--build=deploy_good", "--loc"], ["--local"]),
    ],
)
def test_both_forms_of_a_command_are_completed_and_its_own_flags_alone(
    words: list[str],
    proposed: list[str] | str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "deploy_good.py").touch()
    monkeypatch.chdir(tmp_path)
    if isinstance(proposed, str):
        flags = [name for each in VERBS[proposed].params for name in each.opts if name.startswith("--")]
        proposed = [*flags, "--help"]
    assert completed(*words, capsys=capsys, monkeypatch=monkeypatch) == proposed


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_short_and_completes_one_program(shell: str, tmp_path: Path) -> None:
    program = tmp_path / "it's here" / "chutes-wrappers"
    text = build_script(shell, program)
    assert len(text.splitlines()) <= 20
    assert "deploy.sh" not in text
    assert text.count(shlex.quote(str(program))) == 2


@pytest.fixture(scope="module", params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    name, folder = request.param, tmp_path_factory.mktemp("shell")
    if not (ROOT / ".venv" / ".complete").exists():
        pytest.skip("the project's own .venv is not set up here: ./setup.sh")
    if shutil.which(name) is None and not os.environ.get("CI"):
        pytest.skip(f"{name} is not installed")
    (folder / "deploy.sh").symlink_to(ROOT / "deploy.sh")
    (folder / "deploy_ocr.py").write_text("")
    (folder / "picture.png").touch()
    arguments, ready, reads = SHELLS[name]
    variables = {**make_environment(), "HOME": str(folder), "TERM": "xterm", "PS1": "> "}
    terminal = pexpect.spawn(
        name, arguments, cwd=str(folder), env=variables, encoding="utf-8", timeout=60, dimensions=(60, 200)
    )
    started = Shell(name, folder, terminal)
    started.run(ready)
    started.run(reads.format(f"./deploy.sh --completion {name}"))
    yield started
    terminal.close(force=True)


def test_flags_and_modules_are_completed(shell: Shell) -> None:
    shell.expect_completed("./deploy.sh --disc", "over")
    shell.expect_completed("./deploy.sh disc", "over")
    shell.expect_completed("./deploy.sh build dep", "loy_ocr")
    shell.expect_completed("./deploy.sh --local --build ", "deploy_ocr")
    shell.expect_completed("./deploy.sh --json --rollb", "ack")
    shell.expect_completed("./deploy.sh --build deploy_ocr --logo pict", "ure.png")
    shell.expect_completed("./deploy.sh --build dep", "loy_ocr")
    shell.expect_completed("./deploy.sh --call=dep", "loy_ocr")
    shell.expect_completed("~/deploy.sh --discov", "er")


def test_another_program_of_that_name_is_not_run(shell: Shell) -> None:
    other = shell.folder / "other"
    other.mkdir()
    (other / "deploy.sh").write_text(f"#!/bin/sh\necho run >> {shell.folder}/was_run\n")
    (other / "deploy.sh").chmod(0o755)
    shell.run("cd other")
    shell.terminal.send("./deploy.sh --disc\t\t")
    shell.terminal.send(CLEAR_LINE)
    shell.run("cd ..")
    assert not (shell.folder / "was_run").exists()
