from __future__ import annotations

import platform
import re
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chutes_wrappers.cli.main import deploy
from chutes_wrappers.cli.usage import describe_option, format_help
from chutes_wrappers.cli.verbs.groups import GROUPS, VERBS
from chutes_wrappers.cli.verbs.verb import Group, Verb
from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.program import VERSION
from tests.scenario import find_free_port, make_environment

ROOT = Path(__file__).resolve().parents[2]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(deploy, list(arguments))


def test_help_lists_every_command_and_group_on_one_screen() -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    assert all(verb.flag in result.output for verb in VERBS.values())
    assert all(f"--help {group.name}" in result.output for group in GROUPS)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
@pytest.mark.parametrize("columns", [60, 80])
def test_a_group_has_its_commands_flags_and_examples_on_one_screen(
    group: Group, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    result = invoke("--help", group.name)
    assert result.exit_code == 0
    assert all(f"  {verb.flag}" in result.output for verb in group.verbs)
    flags = {option.opts[0] for verb in VERBS.values() for option in verb.get_options()}
    own = {option.opts[0] for verb in group.verbs for option in verb.get_options()}
    listed = result.output.partition("Flags (")[2].partition("Examples:")[0].split()
    assert {flag for flag in flags if flag in listed} == own
    assert all(example in result.output for example, _ in group.examples)
    assert max(map(len, result.output.splitlines())) <= columns
    assert columns < 80 or len(result.output.splitlines()) <= 25


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: str(verb.name))
def test_help_of_a_command_describes_each_flag(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    help_text = invoke("--help", verb.flag).output
    assert verb.flag in help_text.splitlines()[0]
    assert str(verb.help) in help_text
    listed = help_text.partition("Flags:")[2].partition("Examples:")[0]
    for option in (option for each in VERBS.values() for option in each.get_options()):
        assert (option.opts[0] in listed.replace(",", " ").split()) == (
            option.opts[0] in {own.opts[0] for own in verb.get_options()}
        )
    assert all(describe_option(option) in listed for option in verb.get_options())


@pytest.mark.parametrize(
    "asked",
    [
        ["--help", "deploy"],
        ["--deploy", "--help"],
        ["--deploy", "x", "--help", "--public"],
        ["-h", "--deploy", "-q"],
        ["deploy", "--help"],
        ["deploy", "x", "-h"],
        ["deploy", "-qh"],
        ["--json", "deploy", "--help"],
        ["help", "deploy"],
        ["--help=deploy"],
        ["--public", "--help=--deploy"],
        ["help", "--deploy"],
    ],
)
def test_help_can_be_requested_in_a_command_line(asked: list[str]) -> None:
    assert invoke(*asked).output == invoke("--help", "--deploy").output


def test_the_help_of_set_lists_the_fields_that_the_platform_changes() -> None:
    fields = {*platform_rules.CHANGEABLE_FIELDS} - {*platform_rules.IGNORED_CHANGES}
    detail = format_help("set").partition("Fields:")[2]
    assert fields <= {*re.split(r"[\s,.]+", detail)}
    assert "Fields:" not in format_help("change")


def test_an_unknown_topic_suggests_the_nearest() -> None:
    outcome = invoke("--help", "platfrom")
    assert outcome.exit_code == 2
    assert "did you mean platform?" in outcome.output


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["--discver", "deploy_example"], "Did you mean --discover?"),
        (["discver", "deploy_example"], "Did you mean discover?"),
        (["--emulate", "deploy_example", "--chek"], "Did you mean --check?"),
        (["emulate", "deploy_example", "--chek"], "Did you mean --check?"),
        (["--hepl"], "Did you mean --help?"),
        (["hepl"], "Did you mean help?"),
        (["version"], "Did you mean --version?"),
        (["deploy_example"], "Did you mean deploy?"),
        (["qqqq"], "--help lists the commands"),
    ],
)
def test_an_unknown_command_or_flag_suggests_the_nearest(words: list[str], near: str) -> None:
    outcome = invoke(*words)
    assert outcome.exit_code == 2
    assert near in outcome.output


@pytest.mark.parametrize(
    "words",
    [["--version"], ["--quiet", "--version"], ["build", "deploy_nowhere", "--version"], ["--build", "x", "--version"]],
)
def test_versions_are_shown_without_the_sdk(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chutes", None)
    result = invoke(*words)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"chutes-wrappers {VERSION}",
        f"chutes (SDK) {metadata.version('chutes')}",
        f"Python {platform.python_version()}",
    ]


def test_every_menu_entry_has_a_unique_number() -> None:
    assert sorted(verb.number for verb in VERBS.values()) == list(range(1, len(VERBS) + 1))


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
    variables = {**make_environment(), "CHUTES_CONFIG_PATH": str(folder / "none.ini"), "HOME": str(folder)}
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
        (["--run", "a", "--build", "b"], "cannot be used together"),
        (["--run", "deploy_example", "--port", "70000"], "70000"),
        (["--build"], "--build"),
        (["stray"], "stray"),
        (["--build", "deploy_example", "--local", "--public"], "--public cannot be used with --build --local"),
        (["--build", "deploy_example", "--local", "--json"], "--json cannot be used with --build --local"),
        (["--status", "case", "--watch", "nan"], "'nan' is not a number of seconds: give 0.2 or more"),
        (["--status", "case", "--watch", "0"], "'0' is not a number of seconds: give 0.2 or more"),
        (["--run", "deploy_example", "--port", "abc"], "'abc' is not a port: a number from 1 to 65535"),
        (["--run", "deploy_example", "--port", "0"], "'0' is not a port: a number from 1 to 65535"),
        (["--discover", "deploy_example", "--docker-gpus", "some"], "'some' is not a number of GPUs: all, none, or"),
        (["--discover", "deploy_example", "--expose", "file"], "use some of parameters, files"),
        (["--discover", "deploy_example", "--startup-delay", "-1"], "'-1' is not a number of seconds: give 0 or more"),
        (["--forward", "deploy_example", "--listen", "80"], "'80' is not a pair of ports: a port here and"),
        (["--forward", "deploy_example", "--listen", "0:80"], "'0:80' is not a pair of ports"),
        (["--run", "deploy_example", "--allow-host", "a:1"], "'a:1' is not a valid host name; give one name"),
        (["--run", "deploy_example", "--allow-origin", "a"], "'a' is not a valid origin; give scheme, host"),
        (["build", "--local"], "--build needs MODULE"),
        (["call", "x"], "--call needs NAME PATH"),
        (["build", "", "--local"], "--build needs MODULE"),
        (["run", "a", "--build", "b"], "--run and --build cannot be used together"),
        (["--delete", "a", "delete", "b"], "unexpected"),
        (["-", "--build", "x"], "unknown command: -."),
        (["", "--build", "x"], "unknown command: ''."),
        (["--list-images=5"], "--list-images does not accept a value"),
        (["run", "a", "--local"], "--local can only be used with --build"),
        (["--", "build", "x"], "unexpected argument 'build': put the command before --"),
        (["--warmup", "case", "--no-wait", "--keep", "5"], "--keep waits"),
        (["--completion", "powershell"], "powershell"),
        (["--local"], "--local can only be used with --build"),
        (["--build", "", "--local"], "--build needs MODULE"),
        (["--build", "--local"], "--build needs MODULE, not '--local'"),
        (["--share", "--json", "user"], "--share needs NAME USER"),
        (["--delete", "a", "--delete", "b", "--yes"], "--delete is given twice"),
        (["--no-wait"], "--wait can only be used with --warmup"),
        (["--warmup", "case", "--keep", "nan"], "is not a number of seconds"),
        (["--warmup", "case", "--timeout", "inf"], "is not a number of seconds"),
        (
            ["--build", "deploy_example", "--local", "--port", "9000"],
            "--port can only be used with --create, --emulate or --run",
        ),
        (["--run", "deploy_example", "--local"], "--local can only be used with --build"),
        (
            ["--run-docker", "deploy_example", "--startup-delay", "0"],
            "--startup-delay can only be used with --discover",
        ),
    ],
)
def test_a_usage_error_is_exit_code_2_and_names_the_flag(arguments: list[str], part: str) -> None:
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
    run = ["--run", "--port", str(find_free_port())]
    for arguments in (["--discover"], ["--build", "--local"], ["--run-docker"], run):
        outcome = invoke(arguments[0], str(path), *arguments[1:], "--yes")
        assert outcome.exit_code == 2, outcome.output
        assert "deploy_broken.py, line 1" in outcome.output


def test_a_name_that_the_platform_refuses_stops_a_build_before_it_begins(tmp_path: Path) -> None:
    path = tmp_path / "deploy_case.py"
    path.write_text('CHUTE_NAME = "case"\nCHUTE_TAG = "1"\nCHUTE_BASE_IMAGE = "b"\nSERVICE_PORTS = [8020]\n')
    outcome = invoke("--build", str(path), "--local")
    assert outcome.exit_code == 2
    assert "the platform does not accept CHUTE_TAG '1'" in outcome.output


def test_an_interrupt_while_python_loads_shows_no_traceback() -> None:
    # The first package outside of the standard library; Ctrl-C arrives during its import.
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
