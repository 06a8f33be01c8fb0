"""A wrapped module under the SDK's own ``chutes run``, as an instance runs it."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.manifest import Manifest, write_manifest
from tests.scenario import find_free_port

from .conftest import FAMILY
from .test_launcher import is_gone

ROOT = Path(__file__).resolve().parents[2]
MODULE = """
from chutes.chute import Chute, NodeSelector
from chutes_wrappers.runtime import startup
from tools.chute_wrappers import register_health_check, wait_for_services

startup.BAKED_MANIFEST = "baked.json"
CHUTE_ENV = {{"FROM_MODULE": "yes"}}
SERVICE_PORTS = [{port}]
chute = Chute(
    username="tester", name="wrapped", image="tester/wrapped:v1",
    tee=True, node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),
)
register_health_check(chute, SERVICE_PORTS)


@chute.on_startup()
async def boot(self):
    await wait_for_services(SERVICE_PORTS, timeout=60)
"""


class Run:
    """``chutes run`` of a module in ``folder``; its log can be waited for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.service_port, self.port = find_free_port(), find_free_port()
        self._lines: queue.Queue[str] = queue.Queue()
        self._process: subprocess.Popen[str] | None = None

    def start(self, *service: str) -> None:
        (self.folder / "m.py").write_text(MODULE.format(port=self.service_port))
        spec = LaunchSpec(reference="x", entrypoint=(sys.executable, str(FAMILY)), cmd=service, working_dir="/")
        write_manifest(Manifest(image=spec), self.folder / "baked.json")
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CHUTES_EXECUTION_CONTEXT": "REMOTE",
            "CHUTES_ALLOW_MISSING": "true",
        }
        ports = ["--port", str(self.port), "--logging-port", str(find_free_port())]
        self._process = subprocess.Popen(
            [str(Path(sys.executable).parent / "chutes"), "run", "m:chute", "--dev", "--host", "127.0.0.1", *ports],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def until(self, text: str, timeout_s: float = 60) -> str:
        """The lines up to the first that holds ``text``."""
        deadline, text_so_far = time.monotonic() + timeout_s, ""
        while text not in text_so_far:
            text_so_far += self._lines.get(timeout=deadline - time.monotonic())
        return text_so_far

    def end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(timeout=60)

    def close(self) -> None:
        if self._process is not None:
            # A kill would leave the service behind.
            self._process.terminate()
            try:
                self._process.wait(timeout=60)
            finally:
                self._process.kill()

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_of_the_chute_is_the_end_of_its_service(run: Run, number: signal.Signals) -> None:
    run.start("listen", "127.0.0.1", str(run.service_port))
    log = run.until("Running on http://")
    assert "the service is ready" in log
    (service,) = pids_listening_on(run.service_port)
    assert "FROM_MODULE=yes" in Path(f"/proc/{service}/environ").read_text().split("\0")
    assert run.end(number) == 128 + number
    assert is_gone(service)


def test_a_service_that_exits_ends_the_startup_immediately_with_the_reason(run: Run) -> None:
    run.start("fail", "3", "100")
    log = run.until("Unexpected error executing _run_chute()")
    log += run.until("line 99")
    assert "the service ended with exit code 3" in log
    # The SDK sleeps for a minute now; a stop of the instance is still obeyed.
    assert run.end(signal.SIGTERM) == 143


def test_the_health_check_answers_in_dev_mode(run: Run) -> None:
    run.start("listen", "127.0.0.1", str(run.service_port))
    run.until("Running on http://")
    with urllib.request.urlopen(f"http://127.0.0.1:{run.port}/health", timeout=60) as response:
        assert json.load(response) == {"status": "healthy"}


def pids_listening_on(port: int) -> set[int]:
    return {
        connection.pid
        for connection in psutil.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
        and getattr(connection.laddr, "port", None) == port
        and connection.pid
    }
