"""The whole platform on one loopback port, in a thread of this process: API, builds, instances, invocation and page."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from loguru import logger

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.emulator.api.platform import NewAccounts, Platform
from chutes_wrappers.emulator.app import create_app
from chutes_wrappers.emulator.buildah_builder import BuildahBuilder
from chutes_wrappers.emulator.builder import Builder, DockerBuilder
from chutes_wrappers.emulator.builds import Builds
from chutes_wrappers.emulator.call import slug_of
from chutes_wrappers.emulator.deployed import DeployedChute
from chutes_wrappers.emulator.instance_log import InstanceLog
from chutes_wrappers.emulator.instances import Instances
from chutes_wrappers.emulator.invocation import App, Invocation
from chutes_wrappers.emulator.launching import Launcher
from chutes_wrappers.emulator.page.routes import page_router
from chutes_wrappers.emulator.records import CallRecord, ChuteRecord, InstanceRecord
from chutes_wrappers.emulator.signatures import Unauthorized, key_secret
from chutes_wrappers.emulator.state import State

HOST = "127.0.0.1"
_KEPT_CALLS = 500
_GRACE_S = 2


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``folder`` keeps the state; ``port`` 0 is a free one; without ``docker`` images are only recorded as built,
    with ``buildah`` they are built by that and run in Docker.

    ``on_line`` gets each line of the log and of the instances', on the platform's thread. ``identity`` names the images of a
    new state in the engine: one that was used before finds its layers there.
    """

    folder: Path
    port: int = 0
    docker: bool = True
    buildah: bool = False
    on_line: Callable[[str], None] = lambda line: None
    identity: str | None = None
    new_accounts: NewAccounts = field(default_factory=NewAccounts)


class RunningPlatform:
    """A platform that runs. ``state`` may be used from any thread; ``key`` is an API key that may call every chute."""

    def __init__(self, state: State, builds: Builds, port: int, on_line: Callable[[str], None]) -> None:
        self.state = state
        self.port = port
        self.key = f"cpk_{secrets.token_hex(16)}"
        self._builds = builds
        self._on_line = on_line
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._calls: deque[CallRecord] = deque(maxlen=_KEPT_CALLS)
        self._log = InstanceLog()
        self._instances: Instances | None = None

    @property
    def url(self) -> str:
        """The platform's API, and its page."""
        return f"http://{HOST}:{self.port}"

    def chute_url(self, chute: ChuteRecord) -> str:
        """Where clients call ``chute``."""
        return f"http://{chute.slug}.localhost:{self.port}"

    def deployed(self, slug: str) -> DeployedChute:
        """The chute of that slug, which must be deployed, on a platform that has instances."""
        record = self._lookup(slug)
        assert record is not None
        assert self._instances is not None
        return DeployedChute(record, self._instances, self._on_loop)

    # What the page shows (page/routes.py: PageSource).

    def chutes(self) -> list[ChuteRecord]:
        """Every deployed chute, as its instances run it."""
        return [self.state.record(chute) for chute in self.state.chutes.every()]

    def instances(self, chute_id: str) -> list[InstanceRecord]:
        """A chute's instances, those that are gone included."""
        return self._instances.of(chute_id) if self._instances is not None else []

    def calls(self) -> list[CallRecord]:
        """The latest calls, the oldest first."""
        return list(self._calls)

    def log(self) -> AsyncIterator[str]:
        """The latest lines of the instances, and those to come."""
        return self._log.follow()

    def _on_loop(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _take(self, line: str) -> None:
        self._log.append(line)
        self._on_line(line)

    async def _serve(
        self, listening: socket.socket, settings: Settings, launcher: Launcher | None, ready: Callable[[], None]
    ) -> None:
        async with contextlib.AsyncExitStack() as stack:
            if launcher is not None:
                self._instances = await stack.enter_async_context(Instances(launcher, on_line=self._take))
            server = uvicorn.Server(
                uvicorn.Config(self._app(settings), log_config=None, lifespan="off", timeout_graceful_shutdown=_GRACE_S)
            )
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            ready()
            await self._stop.wait()
            self._log.close()
            # Whoever follows a build must not keep the server waiting.
            await asyncio.to_thread(self._builds.close)
            server.should_exit = True
            await serving

    def _app(self, settings: Settings) -> App:
        platform = Platform(
            state=self.state, builds=self._builds, instances=self._instances, new_accounts=settings.new_accounts
        )
        api = create_app(platform)
        if self._instances is None:
            return api
        for chute in self.chutes():
            self._instances.know(chute)
        app = Invocation(
            api,
            lookup=self._lookup,
            authorize=self._authorizes,
            instances=self._instances,
            observe=self._calls.append,
        )
        api.include_router(page_router(self, app, self.key))
        return app

    def _lookup(self, slug: str) -> ChuteRecord | None:
        chute = self.state.chutes.by_slug(slug)
        return self.state.record(chute) if chute is not None else None

    def _authorizes(self, headers: Mapping[str, str]) -> bool:
        """Whether the request's API key may invoke the chute that its Host header names."""
        try:
            secret = key_secret(headers)
        except Unauthorized:
            return False
        if secret is None:
            return False
        if secrets.compare_digest(secret, self.key):
            return True
        key = self.state.api_keys.by_secret(secret)
        chute = self.state.chutes.by_slug(slug_of(headers.get("host", "")) or "")
        if key is None or chute is None or not self.state.chutes.may_use(chute, key.user_id):
            return False
        return key.may("invoke", "chutes", chute.chute_id, chute.name)


@contextlib.contextmanager
def running_platform(settings: Settings, launcher: Launcher | None = None) -> Iterator[RunningPlatform]:
    """The platform, until the context ends; all that it started is gone then. Without a ``launcher`` no instance ever runs.

    ConfigurationError for a port or a folder in use, EngineUnavailable when images cannot be built.
    """
    with contextlib.ExitStack() as stack:
        state = stack.enter_context(State(settings.folder, identity=settings.identity))
        builds = stack.enter_context(Builds(state, _builder(settings, state.identity)))
        listening = stack.enter_context(_listening(settings.port))
        platform = RunningPlatform(state, builds, listening.getsockname()[1], settings.on_line)
        stack.enter_context(_thread(platform, listening, settings, launcher))
        yield platform


@contextlib.contextmanager
def _thread(
    platform: RunningPlatform, listening: socket.socket, settings: Settings, launcher: Launcher | None
) -> Iterator[None]:
    loop, ready = platform._loop, threading.Event()
    failure: list[BaseException] = []

    def serve() -> None:
        try:
            loop.run_until_complete(platform._serve(listening, settings, launcher, ready.set))
        except BaseException as error:  # noqa: BLE001  # raised in the thread that waits
            failure.append(error)
        finally:
            ready.set()

    def hear(message: Any) -> None:
        loop.call_soon_threadsafe(platform._take, str(message).rstrip("\n"))

    heard = logger.add(hear, format="{message}", filter="chutes_wrappers.emulator", level="INFO")
    thread = threading.Thread(target=serve, name="emulated-platform")
    thread.start()
    ready.wait()
    try:
        if not failure:
            yield
    finally:
        loop.call_soon_threadsafe(platform._stop.set)
        thread.join()
        logger.remove(heard)
        loop.close()
        if failure:
            raise failure[0]


def _builder(settings: Settings, identity: str) -> Builder | None:
    if not settings.docker:
        return None
    if settings.buildah:
        return BuildahBuilder(identity, settings.folder / "buildah")
    return DockerBuilder(identity)


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise ConfigurationError(
            f"port {port} cannot be used ({error.strerror})", next_step="name another one with --port"
        ) from error
