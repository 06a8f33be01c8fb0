"""Large bodies through a chute, up and down, by gateway and tunnel: throughput, and memory growth of the instance.

    python benchmarks/bodies.py

Under `chutes run --dev`, with service and client in separate processes. The aims: at most 3 bytes of memory for an uploaded byte
(the platform requires one JSON object); constant memory for a download through a tunnel. "native" is the SDK's own passthrough,
which forwards the JSON unchanged.
"""

from __future__ import annotations

import base64
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.gateway import run_service  # noqa: E402 - needs the path above
from tests.dev_chute import DevChute, dev_chute  # noqa: E402

MIB = 1024**2
SIZES_MIB = (1, 10, 100)
ROUTES: list[dict[str, Any]] = [
    {"path": "/upload", "target_path": "/echo/size", "request": {"encoding": "binary"}},
    {"path": "/large", "method": "GET"},
    {"path": "/native", "target_path": "/echo/size", "native": True},
]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, run_service() as port:
        more = f"from tools.chute_wrappers import register_tunnel\nregister_tunnel(chute, [{port}])"
        with dev_chute(Path(folder), ROUTES, port, more=more) as chute:
            print(f"{'':16} {'MiB':>5} {'s':>7} {'MiB/s':>7} {'memory, bytes a byte':>21}")
            for size in SIZES_MIB:
                for name, call in build_calls(chute, port, size * MIB).items():
                    report(name, chute.process.pid, size, call)


def build_calls(chute: DevChute, port: int, size: int) -> dict[str, Callable[[], int]]:
    """Build the calls. Each transfers ``size`` bytes and returns the size of its response."""
    data = base64.b64encode(b"\xa5" * size).decode()
    up = {"port": port, "method": "POST", "target": "/echo/size", "body": data}
    down = {"port": port, "method": "GET", "target": f"/large?megabytes={size // MIB}"}
    return {
        "native up": lambda: read_response(chute, "POST", "/native", {"data": data}),
        "gateway up": lambda: read_response(chute, "POST", "/upload", {"data": data}),
        "gateway down": lambda: read_response(chute, "GET", f"/large?megabytes={size // MIB}"),
        "tunnel up": lambda: read_response(chute, "POST", "/cw-tunnel", up),
        "tunnel down": lambda: read_response(chute, "POST", "/cw-tunnel", down),
    }


def read_response(chute: DevChute, method: str, path: str, body: Any = None) -> int:
    sent = json.dumps(body) if body is not None else None
    headers = {"Content-Type": "application/json"}
    with requests.request(
        method, chute.base_url + path, data=sent, headers=headers, stream=True, timeout=300
    ) as response:
        assert response.status_code == 200, response.text[:500]
        return sum(len(piece) for piece in response.iter_content(MIB))


def report(name: str, pid: int, size: int, call: Callable[[], int]) -> None:
    before = reset_peak(pid)
    started = time.perf_counter()
    call()
    seconds = time.perf_counter() - started
    growth = read_peak(pid) - before
    print(f"{name:16} {size:5} {seconds:7.2f} {size / seconds:7.1f} {growth / (size * MIB):21.2f}")


def reset_peak(pid: int) -> int:
    """Reset the process's peak of memory, and return the current bytes."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return read_peak(pid)


def read_peak(pid: int) -> int:
    """Return the peak of resident memory since the last reset, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024


if __name__ == "__main__":
    main()
