"""One deploy module in a separate folder, tested through the real command line."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests import fork_server
from tests.commands import KILLED, Commands
from tests.forked_processes import start_forked

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = (sys.executable, "-m", "chutes_wrappers.cli.main")
READY = "Ctrl-C stops it."
PLACEMENT = 'tee=True, node_selector=NodeSelector(gpu_count=1, include=["pro_6000"])'
# The form of modules until May 2026, which the platform rejects now.
OLD_PLACEMENT = "node_selector=NodeSelector(gpu_count=1, min_vram_gb_per_gpu=16)"
MODULE = """
from chutes.chute import Chute, NodeSelector
from tools.chute_wrappers import (
    build_wrapper_image, chutes_username, load_route_manifest, register_passthrough_routes, register_tunnel,
    wait_for_services,
)

USERNAME = chutes_username()
CHUTE_NAME = {name!r}
CHUTE_TAG = "v1"
CHUTE_BASE_IMAGE = {base!r}
SERVICE_PORTS = {ports!r}
CHUTE_ENV = {env!r}
CHUTE_STATIC_ROUTES = {static_routes!r}
CHUTE_EXPOSE = {expose!r}
image = build_wrapper_image(USERNAME, CHUTE_NAME, CHUTE_TAG, CHUTE_BASE_IMAGE, {image_arguments})
chute = Chute(
    username=USERNAME, name=CHUTE_NAME, image=image,
    {placement}, concurrency=8,
)
register_passthrough_routes(chute, load_route_manifest(static_routes=CHUTE_STATIC_ROUTES), SERVICE_PORTS[0])
if {tunnel!r}:
    register_tunnel(chute, SERVICE_PORTS)


@chute.on_startup()
async def boot(self):
    await wait_for_services(SERVICE_PORTS, timeout=60)
"""


def find_free_port() -> int:
    """Find a loopback port that nothing listens on.

    It is below those that the kernel assigns, so no connection of another test takes it before the caller listens on it.
    """
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def run_command(
    *arguments: str, cwd: Path = ROOT, timeout_s: float = 570, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``deploy.sh`` (without its shell) to its end."""
    ran = Commands(cwd, {**make_environment(), **(variables or {})}).run(*arguments, timeout_s=timeout_s)
    assert ran.code != KILLED, f"{arguments}: still runs after {timeout_s} s\n{ran.stdout}{ran.stderr}"
    return subprocess.CompletedProcess(arguments, ran.code, ran.stdout, ran.stderr)


@contextlib.contextmanager
def until_interrupted(
    *arguments: str, variables: Mapping[str, str] | None = None, timeout_s: float = 180, is_forked: bool = True
) -> Iterator[RunningCommand]:
    """Run ``deploy.sh``, and yield it when it is ready. The context ends it with Ctrl-C, and checks the exit code 0.

    Without ``is_forked`` it is a fresh Python, which is the parent of its children.
    """
    options: dict[str, Any] = {
        "cwd": ROOT,
        "env": {**make_environment(), **(variables or {})},
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
    }
    if is_forked:
        process = start_forked(fork_server.DEPLOY, *arguments, **options)
    else:
        process = subprocess.Popen([*DEPLOY, *arguments], text=True, **options)
    running_command = RunningCommand(process)
    try:
        running_command.wait_until_ready(timeout_s)
        yield running_command
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, running_command.output_text
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)
        running_command.close()


def make_environment() -> dict[str, str]:
    """Return our variables without those that change the manifest, the account or the width of a terminal."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("CHUTES_", "CHUTE_"))}
    for name in ("COLUMNS", "LINES"):  # pytest-xdist sets them
        variables.pop(name, None)
    return {**variables, "PYTHONPATH": str(ROOT), "CHUTES_USERNAME": "tester", "NO_COLOR": "1"}


@dataclass
class Scenario:
    """A deploy module for one base image."""

    folder: Path
    name: str
    base: str
    ports: Sequence[int]
    env: dict[str, str] = field(default_factory=dict)
    static_routes: Sequence[dict[str, Any]] = ()
    image_arguments: str = ""
    expose: str = ""
    tunnel: bool = False
    placement: str = PLACEMENT

    def __post_init__(self) -> None:
        self.module = self.folder / f"deploy_{self.name.replace('-', '_')}.py"
        self.module.write_text(
            MODULE.format(
                name=f"case-{self.name}",
                base=self.base,
                ports=list(self.ports),
                env=self.env,
                static_routes=list(self.static_routes),
                image_arguments=self.image_arguments,
                expose=self.expose,
                tunnel=self.tunnel,
                placement=self.placement,
            )
        )

    @property
    def image(self) -> str:
        """The wrapped image's reference."""
        return f"case-{self.name}:v1"

    @property
    def manifest(self) -> Path:
        """The path of the manifest that discovery writes."""
        return self.module.with_suffix(".routes.json")

    def run(self, verb: str, *arguments: str) -> str:
        """Run one verb on the module and return its output; fails if it fails."""
        done = run_command(verb, str(self.module), *arguments, "--yes")
        assert done.returncode == 0, f"{verb}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def discover(self) -> str:
        """Run ``--discover``."""
        return self.run("--discover")

    def build(self) -> str:
        """Run ``--build --local``."""
        return self.run("--build", "--local")

    @contextlib.contextmanager
    def running(
        self, verb: str = "--run-docker", *arguments: str, timeout_s: float = 180, is_forked: bool = True
    ) -> Iterator[Instance]:
        """Run ``--run-docker`` (or ``--run``) until the context ends."""
        line = (verb, str(self.module), *arguments, "--yes")
        with until_interrupted(*line, timeout_s=timeout_s, is_forked=is_forked) as running:
            match = re.search(r"ready after .* at (http://\S+)", running.output_text)
            assert match, running.output_text
            yield Instance(match[1], running)

    @contextlib.contextmanager
    def forwarded(self, chute: Instance) -> Iterator[list[str]]:
        """Run ``--forward`` to ``chute`` until the context ends; yields a local root URL for each of the service's ports."""
        local_ports = [find_free_port() for _ in self.ports]
        listen = [f"--listen={local}:{port}" for local, port in zip(local_ports, self.ports, strict=True)]
        with until_interrupted("--forward", str(self.module), "--url", chute.base_url, *listen):
            yield [f"http://127.0.0.1:{port}" for port in local_ports]


@dataclass(frozen=True)
class Instance:
    """The chute behind a running ``deploy.sh --run…``."""

    base_url: str
    command: RunningCommand

    def get(self, path: str, **params: Any) -> requests.Response:
        """Call a public GET cord."""
        return requests.get(f"{self.base_url}{path}", params=params, timeout=60)

    def post(self, path: str, body: Any = None, **params: Any) -> requests.Response:
        """Call a public POST cord."""
        return requests.post(f"{self.base_url}{path}", json={} if body is None else body, params=params, timeout=60)


class RunningCommand:
    """A ``deploy.sh`` that runs until Ctrl-C."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: deque[str] = deque(maxlen=400)
        self._is_settled = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def output_text(self) -> str:
        """The last lines of its output."""
        return "\n".join(self._lines)

    def wait_until_ready(self, timeout_s: float) -> None:
        """Wait until it prints how to stop it; fails with its output if it ends before."""
        assert self._is_settled.wait(timeout_s), f"not ready in time\n{self.output_text}"
        assert READY in self.output_text, f"exit code {self.process.poll()}\n{self.output_text}"

    def close(self) -> None:
        """Close its output."""
        self._reader.join(60)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line.rstrip("\n"))
            if READY in line:
                self._is_settled.set()
        self._is_settled.set()
