from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chutes_wrappers.cli.dispatch import RUN
from chutes_wrappers.cli.flags import COMMANDS, GROUPS, MODIFIERS, Command, Group, flag_of
from chutes_wrappers.cli.main import deploy
from tests.scenario import environment

ROOT = Path(__file__).resolve().parents[2]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(deploy, list(arguments))


def test_help_names_every_command_on_one_screen_and_leads_to_every_group() -> None:
    shown = invoke("--help")
    assert shown.exit_code == 0
    for command in COMMANDS:
        assert flag_of(str(command.name)) in shown.output
    for group in GROUPS:
        assert f"--help {group.name}" in shown.output


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
@pytest.mark.parametrize("columns", [60, 80])
def test_a_group_has_its_commands_flags_and_examples_on_one_screen(
    group: Group, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = invoke("--help", group.name)
    assert shown.exit_code == 0
    commands = [command for command in COMMANDS if command.group == group.name]
    assert all(f"  {flag_of(str(command.name))}" in shown.output for command in commands)
    for modifier in MODIFIERS:
        assert (modifier.opts[0] in shown.output.split()) == bool({str(one.name) for one in commands} & {*modifier.to})
    assert all(example in shown.output for example, _ in group.examples)
    assert max(map(len, shown.output.splitlines())) <= columns
    assert columns < 80 or len(shown.output.splitlines()) <= 24


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command.name))
def test_help_of_a_command_tells_what_each_of_its_flags_does(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    flag = flag_of(str(command.name))
    shown = invoke("--help", flag).output
    assert flag in shown.splitlines()[0]
    assert str(command.help) in shown
    for modifier in MODIFIERS:
        told = modifier.to.get(str(command.name))
        assert told is None or told in shown
        listed = shown.partition("Flags:")[2].partition("Examples:")[0].replace(",", " ").split()
        assert (modifier.opts[0] in listed) == bool(told)


@pytest.mark.parametrize(
    "asked",
    [["--help", "deploy"], ["--deploy", "--help"], ["--deploy", "x", "--help", "--public"], ["-h", "--deploy", "-q"]],
)
def test_help_of_a_command_may_be_asked_for_in_its_command_line(asked: list[str]) -> None:
    assert invoke(*asked).output == invoke("--help", "--deploy").output


def test_an_unknown_topic_names_the_nearest() -> None:
    outcome = invoke("--help", "platfrom")
    assert outcome.exit_code == 2
    assert "did you mean platform?" in outcome.output


def test_an_unknown_flag_names_the_nearest() -> None:
    outcome = invoke("--discver", "deploy_example")
    assert outcome.exit_code == 2
    assert "--discover" in outcome.output


def test_every_example_of_the_help_is_a_command_line_that_is_understood() -> None:
    for group in GROUPS:
        for example, _ in group.examples:
            if not example.startswith("./deploy.sh"):
                continue
            words = shlex.split(example)[1:]
            deploy.make_context("deploy.sh", words, resilient_parsing=False)


def test_every_command_is_run_by_something() -> None:
    assert {str(command.name) for command in COMMANDS} == RUN.keys()


def test_quiet_leaves_results_and_errors(tmp_path: Path) -> None:
    quiet = command_line("--doctor", "--quiet", folder=tmp_path)
    assert quiet.stdout.startswith("environment")
    assert quiet.stderr == ""
    wrong = command_line("--run", "deploy_nowhere", "--quiet", folder=tmp_path)
    assert (wrong.returncode, "deploy_nowhere" in wrong.stderr) == (2, True)


def test_without_a_terminal_the_menu_is_refused(tmp_path: Path) -> None:
    done = command_line(folder=tmp_path)
    assert done.returncode == 2
    assert "--help" in done.stderr


def command_line(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    variables = {**environment(), "CHUTES_CONFIG_PATH": str(folder / "none.ini"), "HOME": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "chutes_wrappers.cli.main", *arguments],
        cwd=folder,
        env={**variables, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


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
        (["--build", "deploy_example", "--local", "--public"], "--public means nothing with --build --local"),
        (["--build", "deploy_example", "--local", "--json"], "--json means nothing with --build --local"),
        (["--status", "case", "--watch", "nan"], "give seconds"),
        (["--warmup", "case", "--no-wait", "--keep", "5"], "--keep waits"),
        (["--completion", "powershell"], "powershell"),
        (["--local"], "--local means something only with --build"),
        (["--build", "", "--local"], "--build needs MODULE"),
        (["--build", "--local"], "--build needs MODULE, not '--local'"),
        (["--share", "--json", "user"], "--share needs NAME USER"),
        (["--delete", "a", "--delete", "b", "--yes"], "--delete comes twice"),
        (["--no-wait"], "--wait means something only with --warmup"),
        (["--warmup", "case", "--keep", "nan"], "no number of seconds"),
        (["--warmup", "case", "--timeout", "inf"], "no number of seconds"),
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
    # The first package that is not Python's own; Ctrl-C comes while it is looked for.
    script = """
import os, runpy, signal, sys, types
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)
sys.modules.pop("click", None)
sys.meta_path.insert(0, Finder())
sys.argv = ["start.py", "chutes_wrappers.cli.main:main", "--help"]
runpy.run_path("chutes_wrappers/start.py", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
