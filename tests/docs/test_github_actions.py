"""The workflow in docs/github-actions.yml: its permissions, its secrets and its commands. tests/docker runs its steps."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest
import yaml

from chutes_wrappers.cli.verbs.command_line import parse_command_line
from chutes_wrappers.cli.verbs.groups import VERBS
from tests.scenario import ROOT

WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "github-actions.yml").read_text())
JOB: dict[str, Any] = WORKFLOW["jobs"]["deploy"]
COMMANDS = [
    line[line.index("./deploy.sh") :]
    for step in JOB["steps"]
    for line in step.get("run", "").splitlines()
    if "./deploy.sh" in line
]


def test_the_workflow_gets_no_more_than_it_needs() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    for step in JOB["steps"]:
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@(v\d+|[0-9a-f]{40})", step["uses"]), (
                "only GitHub's own, by version or commit"
            )
        else:
            assert "${{" not in step["run"], "a value reaches a script as a variable only"
    assert "secrets." not in json.dumps(JOB["env"])
    holders = {step["name"]: [*step["env"]] for step in JOB["steps"] if "secrets." in json.dumps(step.get("env", {}))}
    assert holders == {
        "Set up the account": ["CHUTES_HOTKEY_SEED", "CHUTES_API_URL"],
        "Verify": ["CHUTES_API_KEY"],
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_asks_nothing_and_prints_json(command: str) -> None:
    words = shlex.split(command.replace('"$MODULE"', JOB["env"]["MODULE"]))[1:]
    parsed = parse_command_line(words, VERBS)
    assert (parsed.problem, parsed.verb) == ("", words[0].removeprefix("--"))
    assert "--json" in words


def test_the_commands_are_in_order() -> None:
    verbs = [re.findall(r"--([a-z]+)", command)[0] for command in COMMANDS]
    assert verbs == ["emulate", "build", "deploy", "warmup", "verify"]
