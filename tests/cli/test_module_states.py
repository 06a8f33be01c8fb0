"""The state of the modules in a folder, as the platform and the engine report it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from tests.commands import Commands
from tests.emulator.api.client import CODE, Client
from tests.emulator.tokens import TOKEN
from tests.fork_server import SCRIPT
from tests.scenario import Scenario, make_environment


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    folder = tmp_path_factory.mktemp("platform")
    with run_platform(Settings(registration_token=TOKEN, folder=folder, docker=False), HostLauncher()) as running:
        yield running


@pytest.fixture(scope="module")
def client(platform: RunningPlatform) -> Client:
    return Client.register(platform.url, "stately")


BROKEN = CODE + "\nraise RuntimeError('no model here')\n"
Told = tuple[list[tuple[str, str, str, str]], list[str], str]
_ASKED = """
import json
from pathlib import Path
from chutes_wrappers.cli.module_states import list_chute_names, list_module_states
states, error = list_module_states(Path.cwd())
print(json.dumps([[(one.name, one.manifest, one.image, one.chute) for one in states], list_chute_names(states), error]))
"""


def read_states(folder: Path, config: Path) -> Told:
    """Return states, names of chutes, and the error; in a new process, since the SDK reads its file once."""
    nowhere = {"CHUTES_CONFIG_PATH": str(config), "DOCKER_HOST": f"unix://{folder}/nowhere.sock"}
    done = Commands(folder, {**make_environment(), **nowhere}, SCRIPT).run(_ASKED)
    assert done.code == 0, done.stderr
    states, names, because = json.loads(done.stdout)
    return [tuple(one) for one in states], names, because


@pytest.fixture
def config(client: Client, tmp_path: Path) -> Path:
    """The file of a user's account."""
    path = tmp_path / "config.ini"
    accounts.write_config(client.account, client.url, path)
    return path


def test_the_state_of_each_module_is_listed(client: Client, config: Path, tmp_path: Path) -> None:
    for name in ("deployed", "built", "fresh"):
        Scenario(tmp_path, name, "vendor/unused:1", [9090])
    (tmp_path / "deploy_wrong.py").write_text("CHUTE_NAME = \n")
    (tmp_path / "deploy_built.routes.json").write_text("{")
    (tmp_path / "deploy_fresh.routes.json").write_text(
        '{"version": 1, "routes": [{"path": "/a", "method": "GET", "port": 9090}]}'
    )
    for name in ("deployed", "built"):
        client.build_and_wait(f"case-{name}")
    # The instance never becomes active, so the chute is cold on a fast machine, too.
    assert client.deploy(name="case-deployed", image="case-deployed:v1", code=BROKEN).status_code == 200

    states, names, unknown_because = read_states(tmp_path, config)
    assert unknown_because == ""
    assert states == [
        ("deploy_built", "invalid", "built and pushed", "not deployed"),
        ("deploy_deployed", "none", "built and pushed", "cold"),
        ("deploy_fresh", "1 routes", "not built", "not deployed"),
        ("deploy_wrong", "cannot be read", "?", "?"),
    ]
    assert names == ["case-deployed", "case-built", "case-fresh"]


def test_a_module_that_was_not_requested_is_not_run(tmp_path: Path) -> None:
    module = Scenario(tmp_path, "computed", "vendor/unused:1", [9090]).module
    ran = tmp_path / "ran"
    source = module.read_text().replace('CHUTE_TAG = "v1"', 'CHUTE_TAG = "".join(["v", "1"])')
    module.write_text(f"{source}\nopen({str(ran)!r}, 'w')\n")
    states, names, _ = read_states(tmp_path, tmp_path / "none.ini")
    assert (states, names) == ([("deploy_computed", "none", "computed", "?")], ["case-computed"])
    assert not ran.exists()


def test_unreachable_sources_give_an_unknown_state_with_the_reason(tmp_path: Path) -> None:
    Scenario(tmp_path, "alone", "vendor/unused:1", [9090])
    states, _, unknown_because = read_states(tmp_path, tmp_path / "none.ini")
    assert states == [("deploy_alone", "none", "?", "?")]
    assert "no Chutes account" in unknown_because


def test_a_folder_without_modules_shows_the_projects_own(config: Path, tmp_path: Path) -> None:
    states, _, _ = read_states(tmp_path, config)
    assert "deploy_example" in [name for name, *_ in states]
