"""The workflow in docs/github-actions.yml: its steps run in a clean container as a runner would run them, against an emulator."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.manifest import Manifest, build_manifest_path, write_manifest
from chutes_wrappers.core.routes import Route
from chutes_wrappers.emulator.host_launcher import HostImage, HostLauncher
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from tests.emulator.api.client import Client
from tests.emulator.tokens import TOKEN
from tests.scenario import ROOT, find_free_port

from . import bases

pytestmark = pytest.mark.docker

WORKFLOW = ROOT / "docs" / "github-actions.yml"
REPOSITORY, RUNNER_TEMP = "/home/runner/work", "/home/runner/temp"
SCOPES = [{"object_type": "chutes", "action": "invoke"}]  # what ./setup.sh --account --key creates
EXPRESSION = re.compile(r"\$\{\{ (secrets|vars|inputs)\.(\w+) \}\}")
SERVICE = """
import http.server, json, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        data = json.dumps({"greeting": "hello " + call["name"]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
MODULE = """
from chutes.chute import Chute, NodeSelector
from tools.chute_wrappers import (
    build_wrapper_image, chutes_username, load_route_manifest, register_passthrough_routes, wait_for_services,
)

USERNAME = chutes_username()
CHUTE_NAME = "in-ci"
CHUTE_TAG = "v1.0.0"
CHUTE_BASE_IMAGE = "parachutes/python:3.12"
SERVICE_PORTS = [{port}]
HOST_ENTRYPOINT = "exec python3 service.py {port}"
CHUTE_EXAMPLES = {{"POST /greet": {{"name": "you"}}}}
image = build_wrapper_image(USERNAME, CHUTE_NAME, CHUTE_TAG, CHUTE_BASE_IMAGE)
chute = Chute(
    username=USERNAME, name=CHUTE_NAME, image=image, tee=True,
    node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]), concurrency=4,
)
register_passthrough_routes(chute, load_route_manifest(), SERVICE_PORTS[0])


@chute.on_startup()
async def boot(self):
    await wait_for_services(SERVICE_PORTS, timeout=60)
"""


@dataclass(frozen=True)
class StepResult:
    """How a step ended."""

    name: str
    code: int
    stdout: str
    stderr: str


@dataclass
class Runner:
    """A container that runs the steps of a job one after the other, each in its own shell and without standard input."""

    container: str
    contexts: Mapping[str, dict[str, str]]
    environment: dict[str, str] = field(default_factory=dict)

    def run_job(self, job: Mapping[str, Any], **variables: str) -> list[StepResult]:
        """Run the ``run`` steps of a job until one fails. ``variables`` replace those of the job."""
        self.environment = {**self._resolve(job.get("env", {})), **variables}
        shell = job.get("defaults", {}).get("run", {}).get("shell", "")
        results: list[StepResult] = []
        for step in job["steps"]:
            if "run" in step and all(result.code == 0 for result in results):
                results.append(self._run_step(step, step.get("shell", shell)))
        return results

    def _run_step(self, step: Mapping[str, Any], shell: str) -> StepResult:
        options = "--noprofile --norc -eo pipefail" if shell == "bash" else "-e"
        self.execute("sh", "-c", f"cat >{RUNNER_TEMP}/step.sh; : >{RUNNER_TEMP}/environment", stdin=step["run"])
        variables = {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ENV": f"{RUNNER_TEMP}/environment",
            "RUNNER_TEMP": RUNNER_TEMP,
            **self.environment,
            **self._resolve(step.get("env", {})),
        }
        done = self.execute("bash", *options.split(), f"{RUNNER_TEMP}/step.sh", variables=variables, check=False)
        exported = self.execute("cat", f"{RUNNER_TEMP}/environment").stdout.splitlines()
        self.environment |= dict(line.split("=", 1) for line in exported)
        return StepResult(step["name"], done.returncode, done.stdout, done.stderr)

    def execute(
        self, *argv: str, stdin: str = "", variables: Mapping[str, str] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the repository's folder, as the runner's user."""
        flags = [part for name, value in (variables or {}).items() for part in ("-e", f"{name}={value}")]
        interactive = ["-i"] if stdin else []
        command = ["docker", "exec", *interactive, "-u", "runner", "-w", REPOSITORY, *flags, self.container, *argv]
        return subprocess.run(command, input=stdin or None, capture_output=True, text=True, check=check)

    def _resolve(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return variables with the values of their expressions, which are secrets and variables only."""
        resolved = {
            name: EXPRESSION.sub(lambda found: self.contexts[found[1]].get(found[2], ""), str(value))
            for name, value in values.items()
        }
        assert not any("${{" in value for value in resolved.values())
        return resolved


@dataclass(frozen=True)
class World:
    """A repository with a module, a user of an emulated platform, and the workflow's job."""

    runner: Runner
    user: Client
    platform: RunningPlatform
    job: Mapping[str, Any]
    secrets: Mapping[str, str]


@pytest.fixture(scope="module")
def world(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    tmp_path = tmp_path_factory.mktemp("ci")
    repository = _make_repository(tmp_path / "repository")
    manifest = Manifest(
        image=LaunchSpec(cmd=(sys.executable, str(repository / "service.py"), str(_read_port(repository)))),
        routes=(Route(path="/greet", method="POST", port=_read_port(repository)),),
    )
    write_manifest(manifest, build_manifest_path(repository / "deploy_ci.py"))
    settings = Settings(registration_token=TOKEN, folder=tmp_path / "state", docker=False)
    launcher = HostLauncher(lambda chute: HostImage(manifest=manifest, starts_service=True))
    with run_platform(settings, launcher) as platform:
        user = Client.register(platform.url, "a-b-c")
        secrets = {
            "CHUTES_HOTKEY_SEED": user.account.seed,
            "CHUTES_API_KEY": user.create_key(scopes=SCOPES)["secret_key"],
        }
        contexts: dict[str, dict[str, str]] = {
            "secrets": secrets,
            "vars": {"CHUTES_API_URL": platform.url},
            "inputs": {},
        }
        with _start_container(repository) as name:
            job = yaml.safe_load(WORKFLOW.read_text())["jobs"]["deploy"]
            yield World(Runner(name, contexts), user, platform, job, secrets)


def _make_repository(folder: Path) -> Path:
    """Write the files of the project, without its tests, and a module with its service."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "acceptance/", "benchmarks/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
            (folder / name).chmod((ROOT / name).stat().st_mode & 0o777)
    (folder / "service.py").write_text(SERVICE)
    (folder / "deploy_ci.py").write_text(MODULE.format(port=find_free_port()))
    return folder


def _read_port(repository: Path) -> int:
    match = re.search(r"SERVICE_PORTS = \[(\d+)\]", (repository / "deploy_ci.py").read_text())
    assert match
    return int(match[1])


@contextlib.contextmanager
def _start_container(repository: Path) -> Iterator[str]:
    """Start a container with the repository, as the runner's user owns it, and yield its name."""
    name = f"cw-test-ci-{uuid.uuid4().hex[:12]}"
    base = bases.image("python-venv")
    _docker("run", "-d", "--name", name, "--network", "host", "--init", base, "sleep", "infinity")
    try:
        _docker("exec", name, "useradd", "-m", "-s", "/bin/bash", "runner")
        _docker("exec", name, "mkdir", "-p", REPOSITORY, RUNNER_TEMP)
        archive = repository.with_suffix(".tar")
        with tarfile.open(archive, "w") as file:
            file.add(repository, arcname=".")
        with archive.open("rb") as stream:
            command = ["docker", "cp", "-", f"{name}:{REPOSITORY}"]
            subprocess.run(command, stdin=stream, capture_output=True, check=True)
        _docker("exec", name, "chown", "-R", "runner:runner", "/home/runner")
        yield name
    finally:
        _docker("rm", "-f", name)


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


def check_shows_no_secret(world: World, results: list[StepResult]) -> None:
    for result in results:
        for secret in world.secrets.values():
            assert secret not in result.stdout + result.stderr, result.name


def test_the_steps_of_the_workflow_succeed_in_a_clean_container(world: World) -> None:
    results = world.runner.run_job(world.job, MODULE="deploy_ci")
    check_shows_no_secret(world, results)
    for result in results:
        assert result.code == 0, f"{result.name}: {result.code}\n{result.stdout}\n{result.stderr}"
    by_name = {result.name: result.stdout for result in results}
    assert [*by_name] == [step["name"] for step in world.job["steps"] if "run" in step]
    payloads = {name: json.loads(text) for name, text in by_name.items() if name != "Install"}
    assert payloads["Set up the account"]["username"] == "a-b-c"
    assert payloads["Build the image"]["status"] == "built and pushed"
    assert payloads["Deploy the chute"]["name"] == "in-ci"
    assert payloads["Warm up"]["status"] == "hot"
    assert world.user.get("/chutes/in-ci").json()["hot"] is True
    world.runner.contexts["inputs"]["build"] = "false"
    environment = world.runner.environment
    steps = [step for step in world.job["steps"] if step["name"] in ("Build the image", "Deploy the chute")]
    skipped, again = world.runner.run_job({**world.job, "steps": steps}, **environment)
    assert (skipped.code, skipped.stdout + skipped.stderr) == (0, "")
    assert (again.code, json.loads(again.stdout)["changed"]) == (0, False), again.stderr
    left = world.runner.execute("sh", "-c", "cd && ls -A .chutes 2>/dev/null; ls -l ~/temp/chutes.ini").stdout
    assert "config.ini" not in left
    assert left.splitlines()[-1].startswith("-rw-------")


def test_without_the_secret_the_account_step_fails_with_its_name(world: World) -> None:
    before = world.user.get("/images/").json()["total"]
    runner = Runner(world.runner.container, {**world.runner.contexts, "secrets": {}})
    results = runner.run_job(world.job, MODULE="deploy_ci")
    assert [(result.name, result.code) for result in results] == [("Install", 0), ("Set up the account", 2)]
    assert "CHUTES_HOTKEY_SEED" in results[-1].stderr
    assert world.user.get("/images/").json()["total"] == before
