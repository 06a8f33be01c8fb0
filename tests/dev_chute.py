"""A module that the SDK's own ``chutes run --dev`` runs, for tests that call its cords."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.fork_server import CHUTES, TIMEOUT_S
from tests.forked_processes import start_forked
from tests.scenario import find_free_port

ROOT = Path(__file__).resolve().parents[1]
MODULE = """
from chutes.chute import Chute, NodeSelector
from tools.chute_wrappers import register_passthrough_routes

chute = Chute(
    username="tester", name="case", image="tester/case:v1",
    tee=True, node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]), concurrency=64,
)
CHUTE_EXPOSE = "all"
{before}
register_passthrough_routes(chute, {routes!r}, {port})
{more}
"""


@dataclass
class DevChute:
    """A running chute; ``base_url`` is the prefix of its public paths."""

    base_url: str
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list, repr=False)

    def post(self, path: str, body: Any = None, **params: Any) -> requests.Response:
        """Call a POST cord."""
        return requests.post(f"{self.base_url}{path}", json={} if body is None else body, params=params, timeout=60)

    def get(self, path: str, **params: Any) -> requests.Response:
        """Call a GET cord."""
        return requests.get(f"{self.base_url}{path}", params=params, timeout=60)


@contextmanager
def dev_chute(
    folder: Path,
    routes: Sequence[Mapping[str, Any]],
    service_port: int,
    *,
    before: str = "",
    more: str = "",
    timeout_s: float = TIMEOUT_S,
    logging_port: int | None = None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[DevChute]:
    """Run a module that registers ``routes`` until the context ends; ``before`` and ``more`` are more source for it."""
    source = MODULE.format(routes=[dict(route) for route in routes], port=service_port, before=before, more=more)
    (folder / "m.py").write_text(source)
    port = find_free_port()
    arguments = [
        "--port",
        str(port),
        "--logging-port",
        str(logging_port or find_free_port()),
        "--host",
        "127.0.0.1",
        "--dev",
    ]
    process = start_forked(
        CHUTES,
        *("run", "m:chute", *arguments),
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CHUTES_EXECUTION_CONTEXT": "REMOTE",
            "CHUTES_ALLOW_MISSING": "true",
            "CHUTES_USERNAME": "tester",
            **(variables or {}),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    chute = DevChute(base_url=f"http://127.0.0.1:{port}", process=process)
    ready = threading.Event()
    reader = threading.Thread(target=_read_lines, args=(chute, ready))
    reader.start()
    try:
        assert ready.wait(timeout_s), "".join(chute.lines)
        assert process.poll() is None, "".join(chute.lines)
        yield chute
    finally:
        process.terminate()
        try:
            process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
        reader.join(TIMEOUT_S)
        if process.stdout is not None:
            process.stdout.close()


def _read_lines(chute: DevChute, ready: threading.Event) -> None:
    assert chute.process.stdout is not None
    for line in chute.process.stdout:
        chute.lines.append(line)
        if "Running on http://" in line:
            ready.set()
    ready.set()
