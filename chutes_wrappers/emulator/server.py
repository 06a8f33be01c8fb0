"""The whole platform on one loopback port, in a thread of this process: API, builds, instances, calls and page."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from loguru import logger

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.base_images import OLDER_FORGE, Forge
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.local_guard import AllowList, LocalGuard
from chutes_wrappers.emulator.admission import Admission, Registration
from chutes_wrappers.emulator.api.context import NewAccounts, Platform, find_caller_problem
from chutes_wrappers.emulator.app import create_app
from chutes_wrappers.emulator.buildah_builder import BuildahBuilder
from chutes_wrappers.emulator.builder import LABEL, Builder, DockerBuilder
from chutes_wrappers.emulator.builds import Builds
from chutes_wrappers.emulator.clock import Clock, SystemClock
from chutes_wrappers.emulator.deployed_chute import DeployedChute
from chutes_wrappers.emulator.instance_log import InstanceLog
from chutes_wrappers.emulator.instance_request import slug_of
from chutes_wrappers.emulator.instances import Instances
from chutes_wrappers.emulator.invocation import Invocation
from chutes_wrappers.emulator.launcher import Launcher
from chutes_wrappers.emulator.page.page_access import build_page_url
from chutes_wrappers.emulator.page.page_routes import build_page_router
from chutes_wrappers.emulator.records import CallRecord, ChuteRecord, InstanceRecord
from chutes_wrappers.emulator.signatures import Unauthorized, parse_api_key
from chutes_wrappers.emulator.staleness import StaleMemory, Staleness
from chutes_wrappers.emulator.state import State
from chutes_wrappers.host.local_ports import open_loopback_sockets
from chutes_wrappers.runtime.call_shape import ASGIApp
from chutes_wrappers.runtime.guarded_app import GuardedApp

HOST = "127.0.0.1"
_MAX_CALL_RECORDS = 500
_SHUTDOWN_GRACE_S = 2


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the platform. ``folder`` has the state; ``port`` 0 selects a free one.

    Without ``docker`` images are only recorded as built; with ``buildah`` they are built by buildah and run in Docker.
    ``forge`` is the one of the platform's two forges that decides about the images' bases.
    ``on_line`` gets each line of the emulator's and the instances' logs, on the platform's thread. ``identity`` names the
    images of a new state in the engine: with the same identity, Docker's build cache is used again. ``registration_token``
    registers users. ``allowed`` are hosts and origins besides the platform's own. ``staleness`` is measured by ``clock``.
    An instance that writes more than ``disk_limit_bytes`` outside of /cache is evicted.
    """

    folder: Path
    port: int = 0
    docker: bool = True
    buildah: bool = False
    forge: Forge = OLDER_FORGE
    on_line: Callable[[str], None] = lambda line: None
    identity: str | None = None
    new_accounts: NewAccounts = field(default_factory=NewAccounts)
    registration_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    allowed: AllowList = field(default_factory=AllowList)
    staleness: Staleness = field(default_factory=Staleness)
    clock: Clock = field(default_factory=SystemClock)
    disk_limit_bytes: int = platform_rules.INSTANCE_DISK_BYTES


class RunningPlatform:
    """A running platform. ``key`` is an API key that can call every chute.

    ``state`` can be used, and ``registration`` closed, from any thread.
    """

    def __init__(self, state: State, builds: Builds, port: int, settings: Settings) -> None:
        self.state = state
        self.port = port
        self.key = f"cpk_{secrets.token_hex(16)}"
        self.registration = Registration(settings.registration_token)
        self._page_secret = secrets.token_urlsafe(24)
        self._builds = builds
        self._on_line = settings.on_line
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._calls: deque[CallRecord] = deque(maxlen=_MAX_CALL_RECORDS)
        self._log = InstanceLog()
        self._instances: Instances | None = None
        self._memory = StaleMemory(settings.staleness, settings.clock)

    @property
    def url(self) -> str:
        """The URL of the platform's API."""
        return f"http://{HOST}:{self.port}"

    @property
    def page_url(self) -> str:
        """The address of its page. It contains a secret: show it to the user, or write it to files of mode 600 only."""
        return build_page_url(self.url, self._page_secret)

    def build_chute_url(self, chute: ChuteRecord) -> str:
        """Return the URL at which clients call ``chute``."""
        return f"http://{chute.slug}.localhost:{self.port}"

    def get_deployed_chute(self, slug: str) -> DeployedChute:
        """Return the chute of that slug. It must be deployed, and the platform must run instances."""
        record = self.state.find_record(slug)
        assert record is not None
        assert self._instances is not None
        return DeployedChute(record, self._instances, self._run_on_loop)

    # PageSource (page/page_routes.py)

    def list_chutes(self) -> list[ChuteRecord]:
        return [self.state.build_record(chute) for chute in self.state.chutes.list_all()]

    def list_instances(self, chute_id: str) -> list[InstanceRecord]:
        return self._instances.list_records(chute_id) if self._instances is not None else []

    def list_calls(self) -> list[CallRecord]:
        return list(self._calls)

    def follow_log(self) -> AsyncIterator[str]:
        return self._log.follow()

    def _run_on_loop(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _append_line(self, line: str) -> None:
        self._log.append(line)
        self._on_line(line)

    async def _serve(
        self, listeners: list[socket.socket], settings: Settings, launcher: Launcher | None, ready: Callable[[], None]
    ) -> None:
        async with contextlib.AsyncExitStack() as stack:
            if launcher is not None:
                instances = Instances(
                    launcher,
                    clock=settings.clock,
                    on_line=self._append_line,
                    disk_limit_bytes=settings.disk_limit_bytes,
                )
                self._instances = await stack.enter_async_context(instances)
            server = uvicorn.Server(
                uvicorn.Config(
                    self._build_app(settings),
                    log_config=None,
                    lifespan="off",
                    timeout_graceful_shutdown=_SHUTDOWN_GRACE_S,
                )
            )
            server_task = asyncio.create_task(server.serve(sockets=listeners))
            ready()
            await self._stop.wait()
            self._log.close()
            if self._instances is not None:
                self._instances.close_logs()
            # Open build logs would keep the server from stopping.
            await asyncio.to_thread(self._builds.close)
            server.should_exit = True
            await server_task

    def _build_app(self, settings: Settings) -> ASGIApp:
        platform = Platform(
            state=self.state,
            builds=self._builds,
            instances=self._instances,
            new_accounts=settings.new_accounts,
            memory=self._memory,
        )
        api = create_app(platform)
        app: ASGIApp = Admission(
            api, registration=self.registration, find_caller_problem=partial(find_caller_problem, platform)
        )
        guard = LocalGuard(loopback_origins=False, allowed=settings.allowed, is_own_host=self._is_chute_host)
        if self._instances is None:
            return GuardedApp(app, guard)
        for chute in self.list_chutes():
            self._instances.register(chute)
        invocation = Invocation(
            app,
            lookup=self.state.find_record,
            authorize=partial(self._is_authorized, platform),
            instances=self._instances,
            observe=self._calls.append,
        )
        api.include_router(build_page_router(self, invocation, self.key, self._page_secret))
        return GuardedApp(invocation, guard)

    def _is_chute_host(self, name: str) -> bool:
        slug = slug_of(name)
        return slug is not None and self.state.find_record(slug) is not None

    def _is_authorized(self, platform: Platform, headers: Mapping[str, str]) -> bool:
        """Whether the request's API key permits a call of the chute in its Host header."""
        try:
            secret = parse_api_key(headers)
        except Unauthorized:
            return False
        if secret is None:
            return False
        if secrets.compare_digest(secret, self.key):
            return True
        key = platform.find_key(secret)
        chute = self.state.chutes.find_by_slug(slug_of(headers.get("host", "")) or "")
        if key is None or chute is None or not self.state.chutes.can_use(chute, key.user_id):
            return False
        return key.is_allowed_to("invoke", "chutes", chute.chute_id, chute.name)


@contextlib.contextmanager
def run_platform(settings: Settings, launcher: Launcher | None = None) -> Iterator[RunningPlatform]:
    """Run the platform until the context ends, then end all that it started. Without a ``launcher`` it runs no instances.

    Raises ConfigurationError for a port or a folder in use, EngineUnavailable when images cannot be built.
    """
    with contextlib.ExitStack() as stack:
        state = stack.enter_context(State(settings.folder, identity=settings.identity))
        builds = stack.enter_context(Builds(state, _create_builder(settings, state.identity), settings.forge))
        listeners = [stack.enter_context(each) for each in _open_listeners(settings.port)]
        platform = RunningPlatform(state, builds, listeners[0].getsockname()[1], settings)
        stack.enter_context(_run_in_thread(platform, listeners, settings, launcher))
        yield platform


@contextlib.contextmanager
def _run_in_thread(
    platform: RunningPlatform, listeners: list[socket.socket], settings: Settings, launcher: Launcher | None
) -> Iterator[None]:
    loop, ready = platform._loop, threading.Event()
    failure: list[BaseException] = []

    def serve() -> None:
        try:
            loop.run_until_complete(platform._serve(listeners, settings, launcher, ready.set))
        except BaseException as error:  # noqa: BLE001  # raised again in the waiting thread
            failure.append(error)
        finally:
            ready.set()

    def append_message(message: Any) -> None:
        loop.call_soon_threadsafe(platform._append_line, str(message).rstrip("\n"))

    handler_id = logger.add(append_message, format="{message}", filter="chutes_wrappers.emulator", level="INFO")
    thread = threading.Thread(target=serve, name="emulated-platform")
    thread.start()
    ready.wait()
    try:
        if not failure:
            yield
    finally:
        loop.call_soon_threadsafe(platform._stop.set)
        thread.join()
        logger.remove(handler_id)
        loop.close()
        if failure:
            raise failure[0]


def _create_builder(settings: Settings, identity: str) -> Builder | None:
    if not settings.docker:
        return None
    if settings.buildah:
        return BuildahBuilder(identity, settings.folder / "buildah")
    return DockerBuilder(f"{LABEL}={identity}")


def _open_listeners(port: int) -> list[socket.socket]:
    try:
        return open_loopback_sockets(port)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on port {port} ({error.strerror})", next_step="set --port to another port"
        ) from error
