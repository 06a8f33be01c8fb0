"""The emulated platform in a thread of this process: instances, the way to them, and the page, on one loopback port."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import secrets
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator, Mapping
from typing import Any, TypeVar

import aiohttp
import uvicorn
from fastapi import FastAPI
from loguru import logger

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.emulator.instance_log import InstanceLog
from chutes_wrappers.emulator.instances import AtCapacity, Instances, NoInstance
from chutes_wrappers.emulator.invocation import Invocation
from chutes_wrappers.emulator.launching import Launcher
from chutes_wrappers.emulator.page.routes import page_router
from chutes_wrappers.emulator.records import CallRecord, ChuteRecord, InstanceRecord
from chutes_wrappers.emulator.runner import DIRECT_PATH
from chutes_wrappers.emulator.transport import Unreadable
from chutes_wrappers.host.rehearsal.comparison import Exchange
from chutes_wrappers.host.rehearsal.direct import DirectRequest

HOST = "127.0.0.1"
_T = TypeVar("_T")
_KEPT_CALLS = 500
_DIRECT_TIMEOUT_S = 600.0
_GRACE_S = 2


class Emulator:
    """A running emulator; its methods may be called from any thread. ``key`` is the API key of its one user."""

    def __init__(self, launcher: Launcher, listening: socket.socket, on_line: Callable[[str], None]) -> None:
        self.port: int = listening.getsockname()[1]
        self.key = f"cpk_{secrets.token_hex(16)}"
        self._listening = listening
        self._log = InstanceLog()
        self._on_line = on_line
        self._chutes: dict[str, ChuteRecord] = {}
        self._calls: deque[CallRecord] = deque(maxlen=_KEPT_CALLS)
        self._instances = Instances(launcher, on_line=self._take)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()

    @property
    def url(self) -> str:
        """The page, and the platform's API."""
        return f"http://{HOST}:{self.port}"

    def chute_url(self, chute: ChuteRecord) -> str:
        """Where clients call ``chute``."""
        return f"http://{chute.slug}.localhost:{self.port}"

    def deploy(self, chute: ChuteRecord) -> None:
        """Deploy a chute, or its next version; returns when an instance of it is on its way."""
        self._chutes[chute.slug] = chute
        self._run(self._instances.deployed(chute))

    def newest_instance(self, chute: ChuteRecord) -> InstanceRecord:
        """The instance of ``chute`` that was started last."""

        async def newest() -> InstanceRecord:
            return self._instances.of(chute.chute_id)[-1]

        return self._run(newest())

    def listening(self, chute: ChuteRecord) -> Collection[int]:
        """The ports that its newest instance listens on now."""
        return self._run(self._instances.listening(chute.chute_id))

    def direct(self, chute: ChuteRecord, request: DirectRequest) -> Exchange:
        """What the wrapped service in an instance of ``chute`` answers to a request of its own clients."""
        return self._run(self._direct(chute, request))

    # What the page shows (page/routes.py: PageSource).

    def chutes(self) -> list[ChuteRecord]:
        """Every deployed chute."""
        return list(self._chutes.values())

    def instances(self, chute_id: str) -> list[InstanceRecord]:
        """A chute's instances, those that are gone included."""
        return self._instances.of(chute_id)

    def calls(self) -> list[CallRecord]:
        """The latest calls, the oldest first."""
        return list(self._calls)

    def log(self) -> AsyncIterator[str]:
        """The latest lines, and those to come."""
        return self._log.follow()

    async def _direct(self, chute: ChuteRecord, request: DirectRequest) -> Exchange:
        wanted = {
            "port": request.port,
            "method": request.method,
            "target": request.target,
            "headers": dict(request.headers),
            "body": base64.b64encode(request.body).decode(),
        }
        try:
            async with (
                self._instances.lease(chute, wait_s=_DIRECT_TIMEOUT_S) as instance,
                instance.client.post(DIRECT_PATH, wanted, timeout_s=_DIRECT_TIMEOUT_S) as answer,
            ):
                told = json.loads((await answer.value())["json"])
        except (AtCapacity, NoInstance, Unreadable, aiohttp.ClientError, asyncio.TimeoutError) as error:
            return Exchange(status=0, problem=f"{type(error).__name__}: {error}")
        if "problem" in told:
            return Exchange(status=0, problem=told["problem"])
        body = base64.b64decode(told["body"])
        return Exchange(status=told["status"], content_type=told["content_type"], body=body)

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _take(self, line: str) -> None:
        self._log.append(line)
        self._on_line(line)

    def _authorizes(self, headers: Mapping[str, str]) -> bool:
        return secrets.compare_digest(headers.get("authorization", "").encode(), f"Bearer {self.key}".encode())

    async def _serve(self) -> None:
        base = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        app = Invocation(
            base,
            lookup=self._chutes.get,
            authorize=self._authorizes,
            instances=self._instances,
            observe=self._calls.append,
        )
        base.include_router(page_router(self, app, self.key))
        config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=_GRACE_S)
        server = uvicorn.Server(config)
        async with self._instances:
            serving = asyncio.create_task(server.serve(sockets=[self._listening]))
            await self._stop.wait()
            self._log.close()
            server.should_exit = True
            await serving


@contextlib.contextmanager
def running_emulator(
    launcher: Launcher, *, port: int = 0, on_line: Callable[[str], None] = lambda line: None
) -> Iterator[Emulator]:
    """An emulator on ``port`` of 127.0.0.1 (0: a free one); everything that it started is gone when the context ends.

    ``on_line`` gets each line of its log and of its instances', on its own thread. ConfigurationError for a port in use.
    """
    with contextlib.ExitStack() as stack:
        emulator = Emulator(launcher, stack.enter_context(_listening(port)), on_line)
        loop = emulator._loop

        def hear(message: Any) -> None:
            loop.call_soon_threadsafe(emulator._take, str(message).rstrip("\n"))

        own = logger.add(hear, format="{message}", filter="chutes_wrappers.emulator", level="INFO")
        thread = threading.Thread(target=loop.run_until_complete, args=(emulator._serve(),), name="emulator")
        thread.start()
        try:
            yield emulator
        finally:
            loop.call_soon_threadsafe(emulator._stop.set)
            thread.join()
            logger.remove(own)
            loop.close()


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise ConfigurationError(
            f"port {port} cannot be used ({error.strerror})", next_step="name another one with --port"
        ) from error
