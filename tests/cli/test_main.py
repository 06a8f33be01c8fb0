from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chutes_wrappers.cli.main import deploy

ROOT = Path(__file__).resolve().parents[2]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(deploy, list(arguments))


def test_help_names_every_flag_of_the_documentation() -> None:
    shown = invoke("--help")
    assert shown.exit_code == 0
    for flag in (
        "--discover",
        "--build",
        "--local",
        "--debug",
        "--run-docker",
        "--run",
        "--forward",
        "--url",
        "--port",
        "--yes",
    ):
        assert flag in shown.output


def test_help_loads_neither_the_sdk_nor_docker() -> None:
    script = """
import sys
from chutes_wrappers.cli import main
loaded = {name.split(".")[0] for name in sys.modules} & {"chutes", "docker", "aiohttp", "rich", "pydantic", "requests"}
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--unknown"], "--unknown"),
        (["--run", "a", "--build", "b"], "one at a time"),
        (["--run", "deploy_example", "--port", "70000"], "70000"),
        (["--build"], "--build"),
        (["stray"], "stray"),
        (["--local"], "--local means something only with --build"),
        (["--build", "", "--local"], "--build needs a name"),
        (["--build", "deploy_example", "--local", "--port", "9000"], "--port means something only with --run"),
        (["--run", "deploy_example", "--local"], "--local means something only with --build"),
        (
            ["--run-docker", "deploy_example", "--startup-delay", "0"],
            "--startup-delay means something only with --discover",
        ),
    ],
)
def test_wrong_usage_is_exit_code_2_and_names_the_flag(arguments: list[str], part: str) -> None:
    outcome = invoke(*arguments)
    assert outcome.exit_code == 2
    assert part in outcome.output


@pytest.mark.parametrize("verb", ["--discover", "--run-docker", "--run"])
@pytest.mark.parametrize("module", ["../x", "deploy_nowhere"])
def test_an_unknown_module_is_exit_code_2_with_a_next_step(verb: str, module: str) -> None:
    outcome = invoke(verb, module, "--yes")
    assert outcome.exit_code == 2
    assert module in outcome.output
    assert "Next:" in outcome.output


def test_a_syntax_error_in_a_module_is_named_by_every_command(tmp_path: Path) -> None:
    path = tmp_path / "deploy_broken.py"
    path.write_text("CHUTE_NAME = \n")
    for arguments in (["--discover"], ["--build", "--local"], ["--run-docker"], ["--run"]):
        outcome = invoke(arguments[0], str(path), *arguments[1:], "--yes")
        assert outcome.exit_code == 2, outcome.output
        assert "deploy_broken.py, line 1" in outcome.output


def test_a_name_that_the_platform_refuses_stops_a_build_before_it_begins(tmp_path: Path) -> None:
    path = tmp_path / "deploy_case.py"
    path.write_text('CHUTE_NAME = "case"\nCHUTE_TAG = "1"\nCHUTE_BASE_IMAGE = "b"\nSERVICE_PORTS = [8020]\n')
    outcome = invoke("--build", str(path), "--local")
    assert outcome.exit_code == 2
    assert "CHUTE_TAG '1' is refused by the platform" in outcome.output


def test_an_interrupt_while_python_loads_shows_no_traceback() -> None:
    # click is loaded right after the first lines of the module; here it is one that waits.
    script = """
import os, runpy, signal, sys, types
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)
sys.modules.pop("click", None)
sys.meta_path.insert(0, Finder())
runpy.run_module("chutes_wrappers.cli.main", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
