"""Calls 64 at a time through the emulator and the gateway, beside the same calls to the service alone, in one run.

    python benchmarks/emulator.py

The Morse sample without Docker: JSON calls, and a mix of JSON in and out, WAV out, and WAV in as multipart. The sample itself needs
most of the time of the mix. Every response is compared with the service's first one. The client is in a process of its own.
"""

from __future__ import annotations

import asyncio
import base64
import io
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import aiohttp
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from chutes_wrappers.core.cord_plan import PlannedCord, plan_cords  # noqa: E402 - needs the path above
from chutes_wrappers.core.manifest import Manifest, write_manifest  # noqa: E402
from chutes_wrappers.core.routes import Route  # noqa: E402
from chutes_wrappers.emulator.deployed_chute import DeployedChute  # noqa: E402
from chutes_wrappers.emulator.host_launcher import HostImage, HostLauncher  # noqa: E402
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform  # noqa: E402
from chutes_wrappers.host.discovery.on_host import build_host_launch  # noqa: E402
from tests.emulator.api.client import CORD, Client  # noqa: E402
from tests.emulator.tokens import TOKEN  # noqa: E402
from tests.scenario import find_free_port  # noqa: E402

JSON_CALLS = 3000
MIXED_CALLS = 5000
RUNS = 2
CONCURRENCY = 64
# Of ten calls: six JSON, three that return a sound, and one that decodes it, which needs most of the time.
MIX = (0, 1, 0, 1, 0, 2, 0, 1, 0, 0)
MODULE = """
from chutes.chute import Chute, NodeSelector
from tools.chute_wrappers import load_route_manifest, register_passthrough_routes, wait_for_services

chute = Chute(
    username="bench", name="load", image="bench/load:v1",
    tee=True, node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]), concurrency=64,
)
register_passthrough_routes(chute, load_route_manifest(), {speak})

@chute.on_startup()
async def boot(self):
    await wait_for_services([{speak}, {listen}], timeout=60)
"""


def build_manifest(speak: int, listen: int) -> Manifest:
    command = f"PORT_SPEAK={speak} PORT_LISTEN={listen} exec {sys.executable} -m morse"
    launch = build_host_launch(command, ROOT / "examples" / "morse")
    upload: dict[str, Any] = {"encoding": "multipart", "files": ["file"]}
    routes = (
        Route(path="/encode", port=speak),
        Route(path="/speak", port=speak),
        Route.model_validate({"path": "/inference", "port": listen, "request": upload}),
    )
    return Manifest(routes=routes, image=launch.model_copy(update={"exposed_ports": (speak, listen)}))


def build_cord(planned: PlannedCord) -> dict[str, Any]:
    return {
        **CORD,
        "method": planned.route.method,
        "path": planned.internal_path,
        "public_api_path": planned.public_path,
        "public_api_method": planned.public_method,
        "passthrough": True,
        "function": planned.function_name,
    }


def deploy(platform: RunningPlatform, manifest: Manifest, speak: int, listen: int) -> DeployedChute:
    user = Client.register(platform.url, "bench")
    user.build_and_wait()
    response = user.deploy(
        filename="load.py",
        ref_str="load:chute",
        code=MODULE.format(speak=speak, listen=listen),
        cords=[build_cord(planned) for planned in plan_cords(manifest.routes, speak).cords],
        concurrency=CONCURRENCY,
    )
    chute = platform.get_deployed_chute(response.json()["slug"])
    chute.make_available()
    return chute


@dataclass(frozen=True)
class Target:
    """Where a client sends its calls: ``urls`` of the speaker and the listener, and the headers of each call."""

    urls: tuple[str, str]
    headers: dict[str, str]
    is_chute: bool

    def build_bodies(self, sound: bytes) -> Sequence[tuple[str, dict[str, Any]]]:
        """Return URL and body of each kind of call, as this target expects them."""
        speaker, listener = self.urls
        file = {"filename": "sos.wav", "content_type": "audio/wav", "data": base64.b64encode(sound).decode()}
        text = {"json": {"text": "SOS"}}
        upload: dict[str, Any] = {"json": {"file": file}} if self.is_chute else {"data": {"file": io.BytesIO(sound)}}
        return [(f"{speaker}/encode", text), (f"{speaker}/speak", text), (f"{listener}/inference", upload)]


def measure(target: Target, kinds: Sequence[int], calls: int) -> tuple[int, float]:
    """Make the calls in a process of its own. Return the number of wrong or lost responses, and calls per second."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_load, target, kinds, calls).result()


def _load(target: Target, kinds: Sequence[int], calls: int) -> tuple[int, float]:
    return asyncio.run(_call_concurrently(target, kinds, calls))


async def _call_concurrently(target: Target, kinds: Sequence[int], calls: int) -> tuple[int, float]:
    connector = aiohttp.TCPConnector(limit=CONCURRENCY)
    async with aiohttp.ClientSession(headers=target.headers, connector=connector) as session:

        async def call(kind: int) -> tuple[int, bytes]:
            url, body = target.build_bodies(sound)[kind]
            async with session.post(url, **body) as response:
                return response.status, await response.read()

        sound = b""
        sound = (await call(1))[1]
        expected = [await call(kind) for kind in range(3)]
        assert [status for status, _ in expected] == [200, 200, 200], expected
        remaining, mismatches = iter(range(calls)), 0

        async def caller() -> None:
            nonlocal mismatches
            for number in remaining:
                kind = kinds[number % len(kinds)]
                mismatches += await call(kind) != expected[kind]

        started = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(CONCURRENCY)))
        return mismatches, calls / (time.perf_counter() - started)


def measure_memory_mib() -> dict[str, float]:
    """Measure the resident memory of this process, which runs the emulator, and of the instance."""
    process = psutil.Process()
    instance = next(child for child in process.children() if "emulator.runner" in " ".join(child.cmdline()))
    return {name: each.memory_info().rss / 2**20 for name, each in (("emulator", process), ("instance", instance))}


def main() -> None:
    speak, listen = find_free_port(), find_free_port()
    manifest = build_manifest(speak, listen)
    with tempfile.TemporaryDirectory() as folder:
        write_manifest(manifest, Path(folder) / "load.routes.json")
        launcher = HostLauncher(lambda chute: HostImage(manifest=manifest, starts_service=True))
        settings = Settings(registration_token=TOKEN, folder=Path(folder) / "state", docker=False)
        with run_platform(settings, launcher) as platform:
            slug = deploy(platform, manifest, speak, listen).record.slug
            headers = {"Host": f"{slug}.localhost", "Authorization": f"Bearer {platform.key}"}
            emulated = Target(urls=(platform.url, platform.url), headers=headers, is_chute=True)
            alone = Target(urls=(f"http://127.0.0.1:{speak}", f"http://127.0.0.1:{listen}"), headers={}, is_chute=False)
            for run in range(1, RUNS + 1):
                for name, kinds, calls in (("JSON", (0,), JSON_CALLS), ("mix", MIX, MIXED_CALLS)):
                    report(run, name, calls, measure(alone, kinds, calls), measure(emulated, kinds, calls))


def report(run: int, name: str, calls: int, alone: tuple[int, float], emulated: tuple[int, float]) -> None:
    memory = ", ".join(f"{process} {value:.0f} MiB" for process, value in measure_memory_mib().items())
    print(
        f"run {run}, {calls} calls, {name}: service alone {alone[1]:.0f} calls/s, emulator {emulated[1]:.0f} calls/s "
        f"({emulated[1] / alone[1]:.2f} of it), {alone[0] + emulated[0]} wrong or lost; {memory}"
    )


if __name__ == "__main__":
    main()
