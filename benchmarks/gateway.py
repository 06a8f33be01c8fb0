"""The cost of a call through our gateway, compared with the SDK's own passthrough, on one route of one chute in one run.

    python benchmarks/gateway.py

Latency in milliseconds and calls per second under `chutes run --dev`; ratios are gateway / native.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.dev_chute import dev_chute  # noqa: E402 - needs the path above

_SERVICE = """
import sys
from tests.upstreams.http_fixture import serve_http_fixture
with serve_http_fixture() as service:
    print(service.port, flush=True)
    sys.stdin.read()
"""

CALLS = 300
ROUNDS = 5
CONCURRENCY = 32
ROUTES: list[dict[str, Any]] = [
    {"path": "/gateway", "target_path": "/echo"},
    {"path": "/native", "target_path": "/echo", "native": True},
]


async def call(session: aiohttp.ClientSession, path: str) -> float:
    started = time.perf_counter()
    async with session.post(path, json={"text": "a" * 200}) as response:
        assert response.status == 200
        await response.read()
    return time.perf_counter() - started


async def measure_sequential(session: aiohttp.ClientSession, path: str) -> list[float]:
    return [await call(session, path) for _ in range(CALLS)]


async def measure_concurrent(session: aiohttp.ClientSession, path: str) -> float:
    remaining = iter(range(CALLS * 2))

    async def caller() -> None:
        for _ in remaining:
            await call(session, path)

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CONCURRENCY)))
    return CALLS * 2 / (time.perf_counter() - started)


async def measure(base_url: str) -> None:
    times: dict[str, list[float]] = {"/native": [], "/gateway": []}
    rates: dict[str, list[float]] = {"/native": [], "/gateway": []}
    async with aiohttp.ClientSession(base_url) as session:
        for path in times:
            await measure_sequential(session, path)
        for _ in range(ROUNDS):  # in turn, so that what the machine does meanwhile hits both
            for path in times:
                times[path] += await measure_sequential(session, path)
                rates[path].append(await measure_concurrent(session, path))
    rows = {
        "p50 ms": {path: statistics.median(all_) * 1000 for path, all_ in times.items()},
        "p99 ms": {path: statistics.quantiles(all_, n=100)[98] * 1000 for path, all_ in times.items()},
        "calls/s, 1 at a time": {path: 1 / statistics.fmean(all_) for path, all_ in times.items()},
        f"calls/s, {CONCURRENCY} at a time": {path: statistics.median(all_) for path, all_ in rates.items()},
    }
    print(f"{'':24} {'native':>10} {'gateway':>10} {'ratio':>7}")
    for name, row in rows.items():
        print(f"{name:24} {row['/native']:10.2f} {row['/gateway']:10.2f} {row['/gateway'] / row['/native']:7.2f}")


@contextmanager
def run_service() -> Iterator[int]:
    """Run the service in a separate process; yields its port."""
    command = [sys.executable, "-c", _SERVICE]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, run_service() as port, dev_chute(Path(folder), ROUTES, port) as chute:
        asyncio.run(measure(chute.base_url))


if __name__ == "__main__":
    main()
