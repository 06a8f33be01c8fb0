"""Secrets stay secret: tokens that are put where secrets live, and a search for them wherever people look."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from chutes_wrappers.host.account import wallets
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from tests.emulator_process import make_api_key, run_emulator_process
from tests.scenario import DEPLOY, READY, ROOT, Scenario, find_free_port, make_environment, until_interrupted

from . import bases

pytestmark = pytest.mark.docker

IN_CHUTE_ENV = "canary-in-chute-env-31337"
SECRET_VALUE = "canary-of-a-secret-31338"


class ProcessList:
    """Every command line on this machine, looked at again and again until the block ends."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> ProcessList:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(30)

    def _look(self) -> None:
        while not self._is_over.wait(0.05):
            for process in psutil.process_iter():
                with contextlib.suppress(psutil.Error):
                    self.seen.add("\0".join(process.cmdline()))


@dataclass
class User:
    """A user with a home folder; ``outputs`` are the outputs of all commands."""

    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)

    def run(self, argv: Sequence[str], *, typed: str = "", code: int | None = 0) -> str:
        done = subprocess.run(
            argv,
            cwd=self.home,
            env={**make_environment(), "HOME": str(self.home), "PYTHONPATH": str(ROOT), **self.variables},
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        self.outputs.append(done.stdout + done.stderr)
        assert code is None or done.returncode == code, f"{argv}: {done.stdout[-2000:]}{done.stderr[-3000:]}"
        return done.stdout

    def deploy(self, line: str, *more: str, typed: str = "", code: int | None = 0) -> str:
        return self.run([*DEPLOY, *line.split(), *more], typed=typed, code=code)


@pytest.fixture
def user(tmp_path: Path, engine: DockerEngine) -> Iterator[User]:
    """A user with an empty home, and an emulator whose log is kept there."""
    with run_emulator_process(tmp_path) as variables:
        yield User(tmp_path, variables)


def test_no_secret_is_to_be_found_where_people_look(user: User, engine: DockerEngine) -> None:
    scenario = Scenario(user.home, "canary", bases.image("python3-no-pip"), [9090], {"TOKEN": IN_CHUTE_ENV})
    module = str(scenario.module)
    with ProcessList() as processes:
        user.run([sys.executable, "-m", "chutes_wrappers.cli.setup.wizard", "--register", "canary", "--wallet", "new"])
        user.variables["CHUTES_USERNAME"] = "canary"
        for line in (("--key", "admin"), ("--key", "--yes")):
            user.run([sys.executable, "-m", "chutes_wrappers.cli.setup.wizard", *line])
        key = make_api_key({**make_environment(), "HOME": str(user.home), **user.variables})
        user.variables["CHUTES_API_KEY"] = key
        user.run([sys.executable, "-m", "chutes_wrappers.cli.setup.wizard", "--link"])

        user.deploy("--discover", module, "--yes", "--debug")
        user.deploy("--build", module, "--local", "--yes", "--debug")
        user.deploy("--emulate", module, "--check", "--watch", "0", "--no-guard", "--yes", "--debug", "--json")
        user.deploy("--build", module, "--yes", "--debug")
        user.deploy("--deploy", module, "--yes", "--accept-fee", "--debug", "--json")
        user.deploy("--warmup case-canary --debug")
        user.deploy("--secret case-canary HF_TOKEN", typed=SECRET_VALUE)
        user.deploy("--call case-canary /echo --debug --json")
        for command in (
            "--status case-canary --json",
            "--logs case-canary",
            "--list-chutes --json",
            "--account --json",
        ):
            user.deploy(command, "--debug")
        user.deploy("--cost", module, "--json")
        user.deploy("--doctor --json --debug", code=None)
        variables = {**user.variables, "HOME": str(user.home)}
        with until_interrupted("--run-docker", module, "--debug", variables=variables) as running:
            user.outputs.append(running.output_text)
        with until_interrupted(
            "--forward", module, "--listen", f"{find_free_port()}:9090", "--debug", variables=variables
        ) as running:
            user.outputs.append(running.output_text)

        _fail(user, scenario)

    places = {f"output {number}": text for number, text in enumerate(user.outputs)}
    places |= {f"process {line[:80]!r}": line for line in processes.seen}
    places |= {path.name: path.read_text() for path in user.home.glob("*.log")}
    places |= {path.name: path.read_text() for path in user.home.glob("*.json")}
    places |= _images(scenario.image)
    assert READY in "".join(user.outputs)
    assert {"output", "process", "history", "inspect", "emulator.log", "deploy_canary.routes.json"} <= {
        name.partition(" ")[0] for name in places
    }
    for secret in (IN_CHUTE_ENV, SECRET_VALUE, key, key.removeprefix("cpk_"), *_of_the_account(user.home)):
        assert [name for name, text in places.items() if secret in text] == []


def _fail(user: User, scenario: Scenario) -> None:
    """The same secrets, in commands that fail in every way that quotes something."""
    module, source = str(scenario.module), scenario.module.read_text()
    user.deploy("--call case-canary /nothing --debug", code=2)
    user.deploy("--call case-canary /echo --debug --url http://127.0.0.1:9/", code=1)
    known = {**user.variables}
    user.variables |= {"CHUTES_API_URL": "http://127.0.0.1:9", "CHUTES_CONFIG_PATH": str(user.home / "no.ini")}
    user.run([sys.executable, "-m", "chutes_wrappers.cli.setup.wizard", "--link"], code=1)
    user.variables = known
    for broken in (
        source.replace(f"{IN_CHUTE_ENV}'", f"{IN_CHUTE_ENV}"),  # a string without its end
        source.replace(f"'{IN_CHUTE_ENV}'", f"'{IN_CHUTE_ENV}' + 1"),  # a TypeError on its line
        source.replace(f"'{IN_CHUTE_ENV}'", f"['{IN_CHUTE_ENV}']"),  # no string
        source.replace("CHUTE_STATIC_ROUTES = []", "ENTRYPOINT = ['python3', '-c', 'import sys; sys.exit(3)']"),
    ):
        assert broken != source
        scenario.module.write_text(broken)
        for verb in ("--discover", "--build", "--doctor"):
            user.deploy(verb, *([] if verb == "--doctor" else [module, "--yes"]), "--debug", code=None)
    scenario.module.write_text(source)


def _images(wrapped: str) -> dict[str, str]:
    """History and configuration of the image that was built here, and of those that the emulator built of the module."""
    listed = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "chutes-emulator/canary-case-canary"]
    built = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()
    outputs = {}
    for image in (wrapped, *built):
        for what in (["history", "--no-trunc"], ["inspect"]):
            done = subprocess.run(["docker", *what, image], capture_output=True, text=True, check=True)
            outputs[f"{what[0]} {image}"] = done.stdout
    return outputs


def _of_the_account(home: Path) -> list[str]:
    """What the wallet, the account's file and the files of API keys keep secret."""
    folder, secrets = home / ".bittensor" / "wallets", []
    for wallet, name in wallets.find_hotkeys(folder):
        for path in (folder / wallet / "hotkeys" / name, folder / wallet / "coldkey"):
            wallet_file = wallets._read_json(path)
            secrets += [
                wallet_file["secretPhrase"],
                *(wallet_file[name].removeprefix("0x") for name in ("secretSeed", "privateKey")),
            ]
    for pattern in ("fingerprint-*", "api_key*"):
        secrets += [path.read_text().strip() for path in (home / ".chutes").glob(pattern)]
    assert len(secrets) >= 9  # with the replaced key
    return secrets
