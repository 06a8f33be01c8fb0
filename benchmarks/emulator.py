"""Ten thousand mixed calls, 64 at a time, through the emulator and the gateway: wrong and lost responses, calls per second, memory.

    python benchmarks/emulator.py

The Morse sample without Docker: JSON in and out, WAV out, WAV in as multipart. Every response is compared with the first one.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import tempfile
import time
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

CALLS = 10_000
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


async def load(platform: RunningPlatform, slug: str) -> tuple[int, float]:
    """Return the number of wrong or lost responses, and the total seconds."""
    headers = {"Host": f"{slug}.localhost", "Authorization": f"Bearer {platform.key}"}
    connector = aiohttp.TCPConnector(limit=CONCURRENCY)
    async with aiohttp.ClientSession(platform.url, headers=headers, connector=connector) as session:

        async def call(path: str, body: Any) -> tuple[int, bytes]:
            async with session.post(path, json=body) as response:
                return response.status, await response.read()

        sound = (await call("/speak", {"text": "SOS"}))[1]
        file = {"filename": "sos.wav", "content_type": "audio/wav", "data": base64.b64encode(sound).decode()}
        mixed = [("/encode", {"text": "SOS"}), ("/speak", {"text": "SOS"}), ("/inference", {"file": file})]
        expected = [await call(*each) for each in mixed]
        assert [status for status, _ in expected] == [200, 200, 200], expected
        remaining, mismatches = iter(range(CALLS)), 0

        async def caller() -> None:
            nonlocal mismatches
            for number in remaining:
                kind = MIX[number % len(MIX)]
                mismatches += await call(*mixed[kind]) != expected[kind]

        started = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(CONCURRENCY)))
        return mismatches, time.perf_counter() - started


def measure_memory_mib() -> dict[str, float]:
    """Measure the resident memory of this process, which runs the emulator, and of the instance."""
    process = psutil.Process()
    instance = next(child for child in process.children() if "runner.py" in " ".join(child.cmdline()))
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
            for run in range(1, 3):
                mismatches, seconds = asyncio.run(load(platform, slug))
                memory = ", ".join(f"{name} {value:.0f} MiB" for name, value in measure_memory_mib().items())
                print(f"run {run}: {CALLS} calls, {mismatches} wrong or lost, {CALLS / seconds:.0f} calls/s; {memory}")


if __name__ == "__main__":
    main()
