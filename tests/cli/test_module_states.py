"""The state of the modules in a folder, as the platform and the engine tell it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.server import RunningPlatform, Settings, running_platform
from tests.commands import Commands
from tests.emulator.api.client import CODE, Client
from tests.emulator.tokens import TOKEN
from tests.fork_server import SCRIPT
from tests.scenario import Scenario, environment


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    folder = tmp_path_factory.mktemp("platform")
    with running_platform(Settings(registration_token=TOKEN, folder=folder, docker=False), HostLauncher()) as running:
        yield running


@pytest.fixture(scope="module")
def client(platform: RunningPlatform) -> Client:
    return Client.registered(platform.url, "stately")


BROKEN = CODE + "\nraise RuntimeError('no model here')\n"
Told = tuple[list[tuple[str, str, str, str]], list[str], str]
_ASKED = """
import json
from pathlib import Path
from chutes_wrappers.cli.module_states import chute_names, module_states
states, because = module_states(Path.cwd())
print(json.dumps([[(one.name, one.manifest, one.image, one.chute) for one in states], chute_names(states), because]))
"""


def told(folder: Path, config: Path) -> Told:
    """States, names of chutes, and why something is not known, in a process of its own: the SDK reads its file once."""
    nowhere = {"CHUTES_CONFIG_PATH": str(config), "DOCKER_HOST": f"unix://{folder}/nowhere.sock"}
    done = Commands(folder, {**environment(), **nowhere}, SCRIPT).run(_ASKED)
    assert done.code == 0, done.stderr
    states, names, because = json.loads(done.stdout)
    return [tuple(one) for one in states], names, because


@pytest.fixture
def config(client: Client, tmp_path: Path) -> Path:
    """The file of a user's account."""
    path = tmp_path / "config.ini"
    accounts.write_config(client.account, client.url, path)
    return path


def test_each_module_is_told_as_far_as_it_has_come(client: Client, config: Path, tmp_path: Path) -> None:
    for name in ("deployed", "built", "fresh"):
        Scenario(tmp_path, name, "vendor/unused:1", [9090])
    (tmp_path / "deploy_wrong.py").write_text("CHUTE_NAME = \n")
    (tmp_path / "deploy_built.routes.json").write_text("{")
    (tmp_path / "deploy_fresh.routes.json").write_text(
        '{"version": 1, "routes": [{"path": "/a", "method": "GET", "port": 9090}]}'
    )
    for name in ("deployed", "built"):
        client.built(f"case-{name}")
    # Its instance never becomes active, so that it is cold however fast the machine is.
    assert client.deploy(name="case-deployed", image="case-deployed:v1", code=BROKEN).status_code == 200

    states, names, unknown_because = told(tmp_path, config)
    assert unknown_because == ""
    assert states == [
        ("deploy_built", "broken", "built and pushed", "not deployed"),
        ("deploy_deployed", "none", "built and pushed", "cold"),
        ("deploy_fresh", "1 routes", "not built", "not deployed"),
        ("deploy_wrong", "cannot be read", "?", "?"),
    ]
    assert names == ["case-deployed", "case-built", "case-fresh"]


def test_a_module_that_nobody_named_is_not_run(tmp_path: Path) -> None:
    module = Scenario(tmp_path, "computed", "vendor/unused:1", [9090]).module
    ran = tmp_path / "ran"
    source = module.read_text().replace('CHUTE_TAG = "v1"', 'CHUTE_TAG = "".join(["v", "1"])')
    module.write_text(f"{source}\nopen({str(ran)!r}, 'w')\n")
    states, names, _ = told(tmp_path, tmp_path / "none.ini")
    assert (states, names) == ([("deploy_computed", "not run", "?", "?")], [])
    assert not ran.exists()


def test_what_cannot_be_asked_is_not_known_and_says_why(tmp_path: Path) -> None:
    Scenario(tmp_path, "alone", "vendor/unused:1", [9090])
    states, _, unknown_because = told(tmp_path, tmp_path / "none.ini")
    assert states == [("deploy_alone", "none", "?", "?")]
    assert "no Chutes account" in unknown_because


def test_a_folder_without_modules_shows_the_projects_own(config: Path, tmp_path: Path) -> None:
    states, _, _ = told(tmp_path, config)
    assert "deploy_example" in [name for name, *_ in states]
