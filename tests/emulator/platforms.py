"""The invocation path with real instances, for tests that call it as a client does."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import os
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import requests
import uvicorn
from starlette.responses import PlainTextResponse

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.manifest import Manifest, write_manifest
from chutes_wrappers.emulator.chute_call import Limits
from chutes_wrappers.emulator.clock import Clock
from chutes_wrappers.emulator.host_launcher import HostImage, HostLauncher
from chutes_wrappers.emulator.instances import Instances
from chutes_wrappers.emulator.invocation import Invocation
from chutes_wrappers.emulator.launcher import Launcher
from chutes_wrappers.emulator.records import CallRecord, ChuteRecord, CordRecord, InstanceRecord, InstanceState
from tests.commands import Commands
from tests.fork_server import SCRIPT
from tests.scenario import ROOT, find_free_port

_T = TypeVar("_T")

HEAD = """
from chutes.chute import Chute, NodeSelector
from fastapi import HTTPException, Response

chute = Chute(
    username="tester", name="case", image="tester/case:v1",
    tee=True, node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]), concurrency={concurrency},
)
"""
# The fields of each cord that `chutes deploy` sends (SDK entrypoint/deploy.py).
_CORDS = """
import json, sys
from case import chute
print("\\n" + json.dumps([
    dict(method=c._method, path=c.path, public_api_path=c.public_api_path, public_api_method=c._public_api_method,
         stream=bool(c._stream), passthrough=bool(c._passthrough), function=c._func.__name__)
    for c in chute.cords if c.public_api_path
]))
"""


def make_chute(folder: Path, code: str, *, manifest: Manifest | None = None, **values: Any) -> ChuteRecord:
    """Return a deployed version of a module's source, with its cords read as the SDK reads them."""
    (folder / "case.py").write_text(code)
    if manifest is not None:
        write_manifest(manifest, folder / "case.routes.json")
    environment = {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}", "CHUTES_ALLOW_MISSING": "true"}
    result = Commands(folder, environment, SCRIPT).run(_CORDS)
    assert result.code == 0, result.stderr
    cords = tuple(CordRecord(**cord) for cord in json.loads(result.stdout.splitlines()[-1]))
    return make_chute_record(code=code, cords=cords, **values)


def make_chute_record(**values: Any) -> ChuteRecord:
    """Return a chute with ``values`` and defaults."""
    defaults: dict[str, Any] = {
        "chute_id": "chute-1",
        "version": "v1",
        "name": "case",
        "slug": "tester-case",
        "username": "tester",
        "filename": "case.py",
        "reference": "case:chute",
        "code": "",
        "image": None,
        "cords": (),
        "concurrency": 8,
        "max_instances": 1,
        "scaling_threshold": 0.75,
        "shutdown_after_s": 300.0,
        "allow_external_egress": False,
    }
    return ChuteRecord(**{**defaults, **values})


@dataclass
class Platform:
    """Instances and the invocation path on their own event loop. ``url`` is the platform's root."""

    loop: asyncio.AbstractEventLoop
    instances: Instances
    url: str
    chutes: dict[str, ChuteRecord] = field(default_factory=dict)
    calls: list[CallRecord] = field(default_factory=list)
    previous_count: int = 0

    def run(self, work: Coroutine[Any, Any, _T], timeout_s: float = 60) -> _T:
        """Run a coroutine on that loop, and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout_s)

    def deploy(self, chute: ChuteRecord) -> InstanceRecord:
        """Deploy and wait until the instance is active, or gone."""
        self.chutes[chute.slug] = chute
        self.run(self.instances.replace_instances(chute))
        return self.wait_until_settled(chute.chute_id)

    def wait_until_settled(self, chute_id: str, timeout_s: float = 60) -> InstanceRecord:
        """Wait until the latest instance of a chute is active or gone, and return its record."""
        newest = list(self.instances._instances.values())[-1]
        assert newest.chute.chute_id == chute_id
        self.run(newest.settled.wait(), timeout_s)
        return newest.record

    def wait_until_gone(self, instance_id: str, timeout_s: float = 60) -> InstanceRecord:
        """Wait until all of an instance is gone, and return its record."""
        instance = self.instances._instances[instance_id]
        self.run(instance.closed.wait(), timeout_s)
        return instance.record

    def make_available(self, slug: str = "tester-case") -> None:
        """Wait until a call gets an instance."""
        chute = self.chutes[slug]
        self.run(self.instances.wait_until_active(chute, wait_s=60))
        self.loop.call_soon_threadsafe(self.instances.enable, chute)

    def get_newest(self, chute_id: str = "chute-1") -> InstanceRecord:
        """Return the latest instance of a chute."""
        return self.instances.list_records(chute_id)[-1]

    def log(self, instance_id: str) -> str:
        """Return the output of an instance until now."""
        return self.instances._instances[instance_id].log.tail(1000)

    def call(
        self,
        method: str,
        path: str,
        *,
        slug: str = "tester-case",
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> requests.Response:
        """Call a chute at its own host."""
        options.setdefault("timeout", 60)
        self.previous_count = len(self.calls)
        all_headers = {"Host": f"{slug}.localhost", "Authorization": "Bearer cpk_test", **(headers or {})}
        return requests.request(method, f"{self.url}{path}", headers=all_headers, **options)

    def wait_for_record(self) -> CallRecord:
        """Wait for the record of the last call, which is written after the response is sent."""
        pause = threading.Event()
        for _ in range(3000):
            if len(self.calls) > self.previous_count:
                return self.calls[-1]
            pause.wait(0.02)
        raise AssertionError("the call was not recorded")

    def post(self, path: str, body: Any = None, **options: Any) -> requests.Response:
        """Send a POST with a JSON body; the default is ``{}``."""
        return self.call("POST", path, json={} if body is None else body, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        """Send a GET."""
        return self.call("GET", path, **options)


@contextmanager
def run_invocation_platform(
    launcher: Launcher | None = None,
    *,
    image: HostImage | None = None,
    limits: Limits | None = None,
    clock: Clock | None = None,
    disk_limit_bytes: int = platform_rules.INSTANCE_DISK_BYTES,
) -> Iterator[Platform]:
    """Run a platform until the context ends, and end all that it started."""
    image = image or HostImage()
    launcher = launcher or HostLauncher(lambda chute: image)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    port = find_free_port()

    async def start() -> Platform:
        running = Platform(
            loop, Instances(launcher, clock=clock, disk_limit_bytes=disk_limit_bytes), f"http://127.0.0.1:{port}"
        )
        app = Invocation(
            PlainTextResponse("the platform itself"),
            lookup=running.chutes.get,
            authorize=lambda headers: headers.get("authorization") == "Bearer cpk_test",
            instances=running.instances,
            observe=running.calls.append,
            limits=limits,
        )
        running_server.config = uvicorn.Config(app, "127.0.0.1", port, log_level="error", lifespan="off")
        running_server.config.load()
        return running

    running_server = uvicorn.Server(uvicorn.Config(PlainTextResponse(""), lifespan="off"))
    running_server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # not in the main thread
    platform = asyncio.run_coroutine_threadsafe(start(), loop).result(60)
    server_task = asyncio.run_coroutine_threadsafe(_serve(running_server), loop)
    try:
        _wait_until_listening(running_server, server_task)
        yield platform
    finally:
        asyncio.run_coroutine_threadsafe(platform.instances.close(), loop).result(60)
        running_server.should_exit = running_server.force_exit = True
        server_task.result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()


async def _serve(server: uvicorn.Server) -> None:
    await server._serve()


def _wait_until_listening(server: uvicorn.Server, serving: concurrent.futures.Future[None]) -> None:
    for _ in range(500):
        if server.started:
            return
        concurrent.futures.wait([serving], 0.02)
        assert not serving.done(), "the server did not start"
    raise AssertionError("the server did not start in time")


def is_active(record: InstanceRecord) -> bool:
    """Whether it accepts calls."""
    return record.state is InstanceState.ACTIVE
