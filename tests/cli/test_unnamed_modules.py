"""Nothing of the current folder runs unasked: every file there would leave a trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from chutes_wrappers.cli.completion import VARIABLE
from tests.commands import CommandResult, Commands
from tests.scenario import make_environment
from tests.terminal import Terminal

_COMPUTED = """
import os
CHUTE_NAME = "".join(["traces", "-everything"])
CHUTE_TAG = "v1"
CHUTE_BASE_IMAGE = "vendor/unused:1"
SERVICE_PORTS = [9090]
CHUTE_ENV = {"HOME": os.environ["HOME"]}
"""
_LITERAL = """
CHUTE_NAME = "literal"
CHUTE_TAG = "v1"
CHUTE_BASE_IMAGE = "vendor/unused:1"
SERVICE_PORTS = [9090]
"""
# Names that a Python, or a program that a command starts, could load from the current folder.
_PYTHON_FILES = (
    *("sitecustomize.py", "usercustomize.py", "chutes.py", "click.py", "rich.py", "json.py", "docker.py", "tools.py"),
    *("chutes_wrappers.py", "deploy_computed/__init__.py", "conftest.py", "setup.py", "__init__.py", "__main__.py"),
)
_PROGRAMS = ("docker", "chutes", "python", "python3", "git", "uv", "pip", "docker-credential-x")


class Folder:
    """A folder with modules and files of which each leaves a trace if it is run."""

    def __init__(self, folder: Path) -> None:
        self.traces = folder / "traces"
        self.work = folder / "work"
        for each in (self.traces, self.work / "deploy_computed"):
            each.mkdir(parents=True)
        for name, source in (("computed", _COMPUTED), ("literal", _LITERAL)):
            (self.work / f"deploy_{name}.py").write_text(f"{source}\n{self._trace(f'deploy_{name}')}")
        (self.work / "deploy_broken.py").write_text(f"{self._trace('broken')}\nraise SystemExit(3)\n")
        for name in _PYTHON_FILES:
            (self.work / name).write_text(self._trace(name.replace("/", "_")))
        for name in _PROGRAMS:
            (self.work / name).write_text(f"#!/bin/sh\n: > {self.traces / name}\n")
            (self.work / name).chmod(0o755)
        for name in (".env", "pip.conf", "uv.toml", "compose.yaml", ".dockerignore", "config.ini"):
            (self.work / name).write_text("CHUTES_API_URL=http://192.0.2.1\n[global]\nindex-url = http://192.0.2.1\n")
        self.variables = {
            **make_environment(),
            "HOME": str(folder),
            "DOCKER_HOST": f"unix://{folder}/nowhere.sock",
            "CHUTES_API_URL": "http://127.0.0.1:9",
            "TERM": "dumb",
        }

    def _trace(self, name: str) -> str:
        return f"open({str(self.traces / name)!r}, 'w').close()\n"

    def run(self, *arguments: str, **variables: str) -> CommandResult:
        return Commands(self.work, {**self.variables, **variables}).run(*arguments)

    def list_traces(self) -> list[str]:
        return sorted(path.name for path in self.traces.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        *("--doctor", "--doctor --json", "--list-chutes", "--list-images", "--account", "--help", "--version"),
        *("--status case", "--logs case", "--completion bash", "--create vendor/unused:1", "--delete case --yes"),
        *("--cost deploy_nowhere", "--build deploy_nowhere --local", "--share case second"),
    ],
)
def test_a_command_that_names_no_module_runs_none(line: str, folder: Folder) -> None:
    folder.run(*line.split())
    assert folder.list_traces() == []


@pytest.mark.parametrize(
    "words", ["--doctor\n", "--build\ndep", "--status\ndep", "dep", "--cost\ndeploy_c", "--template\n"]
)
def test_a_completion_runs_nothing(words: str, folder: Folder) -> None:
    before, _, word = words.rpartition("\n")
    result = folder.run(
        **{VARIABLE: "lines_complete", "_DEPLOY_SH_WORDS": f"./deploy.sh\n{before}", "_DEPLOY_SH_WORD": word}
    )
    assert "Traceback" not in result.stderr
    assert folder.list_traces() == []


def test_the_menu_runs_nothing_before_a_module_is_chosen_and_then_only_that(folder: Folder) -> None:
    terminal = Terminal([], folder=folder.work, variables=folder.variables, dimensions=(60, 120))
    terminal.expect("What to do")
    shown = str(terminal.before)
    assert "computed" in shown
    assert "literal" not in folder.list_traces()
    terminal.sendline("--list-chutes")
    terminal.expect("Enter goes on")
    terminal.sendline("")
    terminal.expect("What to do")
    terminal.sendline("13")  # Cost
    terminal.expect("Module")
    assert folder.list_traces() == []
    terminal.sendline("deploy_computed")
    terminal.expect("Enter goes on")
    terminal.sendline("q")
    terminal.close()
    assert folder.list_traces() == ["deploy_computed"]


def test_the_doctor_names_what_it_did_not_run_and_runs_what_is_named(folder: Folder) -> None:
    result = folder.run("--doctor")
    assert "deploy_computed.py: CHUTE_ENV, CHUTE_NAME are computed: not run" in result.stdout
    assert "Fix: ./deploy.sh --doctor deploy_computed runs it" in result.stdout
    assert "deploy_literal.py: not run" in result.stdout
    result = folder.run("--doctor", "deploy_computed")
    assert "not run" not in result.stdout
    assert "deploy_literal" not in result.stdout
    assert folder.list_traces() == ["deploy_computed"]
    folder.run("--doctor=deploy_literal", "deploy_computed.py")
    assert folder.list_traces() == ["deploy_computed", "deploy_literal"]


def test_an_unknown_module_of_the_doctor_is_invalid_before_any_check(folder: Folder) -> None:
    result = folder.run("--doctor", "deploy_computed", "deploy_nowhere")
    assert (result.code, result.stdout) == (2, "")
    assert "deploy module 'deploy_nowhere' not found" in result.stderr
    assert folder.list_traces() == []
