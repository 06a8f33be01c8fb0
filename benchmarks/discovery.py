"""Seconds from a service's first response to the written manifest: ``python benchmarks/discovery.py``. The aim is 1 s.

The service is a FastAPI application with many routes in a separate process, started after discovery.
The load time of discovery is not counted, because discovery loads while a service starts.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

AIM_S = 1.0
# CLOCK_MONOTONIC is the same for all processes, so the service can record the time of its first response.
_SERVICE = """
import sys, time
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

port, routes, delay_s, note = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
app = FastAPI()

class Child(BaseModel):
    name: str
    children: list["Child"] = []

@app.get("/health")
def health() -> dict:
    return {"status": "ok"}

def add(number):
    @app.post(f"/service/operation-{number}", response_model=Child)
    def operation(body: Child):
        return body

for number in range(routes):
    add(number)

class Noted:
    seen = False
    async def __call__(self, scope, receive, send):
        async def noting(message):
            await send(message)
            if not Noted.seen and scope["type"] == "http":
                Noted.seen = True
                with open(note, "w") as file:
                    file.write(repr(time.monotonic()))
        await app(scope, receive, noting)

time.sleep(delay_s)
uvicorn.run(Noted(), host="127.0.0.1", port=port, log_level="error")
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--routes", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    for delay_s in (0.0, 3.0):
        seconds = [measure(options.routes, delay_s) for _ in range(options.runs)]
        print(
            f"{options.routes} routes, service starts after {delay_s:.0f} s: median {median(seconds):.2f} s, "
            f"worst {max(seconds):.2f} s from first response to manifest (aim: at most {AIM_S:.0f} s)"
        )


def measure(routes: int, delay_s: float) -> float:
    """Return the seconds from the first response to the manifest on disk."""
    from chutes_wrappers.core.manifest import write_manifest
    from chutes_wrappers.host.discovery.probing import Bounds
    from chutes_wrappers.host.discovery.remote import discover_service
    from tests.scenario import find_free_port

    port = find_free_port()
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "first-response"
        with _run_service(port, routes, delay_s, note):
            manifest = discover_service(
                f"http://127.0.0.1:{port}", None, bounds=Bounds(timeout_s=60), report=lambda line: None
            )
            write_manifest(manifest, Path(folder) / "deploy_x.routes.json")
            done = time.monotonic()
        assert len(manifest.routes) == routes + 1
        return done - float(note.read_text())


@contextlib.contextmanager
def _run_service(port: int, routes: int, delay_s: float, note: Path) -> Iterator[None]:
    argv = [sys.executable, "-c", _SERVICE, str(port), str(routes), str(delay_s), str(note)]
    with subprocess.Popen(argv) as process:
        try:
            yield
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
