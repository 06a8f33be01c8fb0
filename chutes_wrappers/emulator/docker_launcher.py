"""Instances as Docker containers of the built image, as the platform's pods run them (PLATFORM.md, section 1)."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from chutes_wrappers.core import layout, platform_rules
from chutes_wrappers.core.errors import ConfigurationError, ServiceFailed, WrapperError
from chutes_wrappers.emulator import relay
from chutes_wrappers.emulator.launcher import RUNNER_SOURCE, build_runner_environment, find_module_file, generate_key
from chutes_wrappers.emulator.pod_limits import describe_probe_timeout
from chutes_wrappers.emulator.records import ChuteRecord
from chutes_wrappers.emulator.runner import SessionCipher
from chutes_wrappers.emulator.transport import InstanceClient
from chutes_wrappers.host.container_engine.docker_container import DockerContainer
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from chutes_wrappers.host.container_engine.engine import ContainerSpec, KeptVolume, start_container
from chutes_wrappers.host.container_engine.instance_container import build_instance_spec
from chutes_wrappers.host.discovery.sockets import parse_listeners

_RUNNER = "/opt/chutes-emulator/runner.py"
_RELAY = "/opt/chutes-emulator/relay.py"
_COMMAND_TIMEOUT_S = 10.0
_MEASUREMENT_TIMEOUT_S = 60.0  # of du, for many files
_PROBE_URL = f"http://127.0.0.1:{platform_rules.LOGGING_PORT}{platform_rules.PROBE_PATH}"
_PROBE_ARGV = ("curl", "-fsS", "-o", "/dev/null", "-m", f"{platform_rules.PROBE_TIMEOUT_S:g}", _PROBE_URL)
_CURL_TIMED_OUT = 28
# Of the engine, for a program that cannot be started.
_NOT_STARTED = (126, 127)


class DockerLauncher:
    """Starts instances as containers of ``engine``. ``report`` gets a line for what the engine cannot do as a pod does.

    An instance without outbound network gets its own internal network, and is called through a relay. Each chute has a
    volume as /cache, which lasts until the file or folder ``cache_owner`` is gone; without one, until ``close``.
    """

    max_running: int | None = None

    def __init__(
        self,
        engine: DockerEngine,
        report: Callable[[str], None] = lambda line: None,
        *,
        cache_owner: Path | None = None,
    ) -> None:
        self._engine = engine
        self._report = report
        self._cache_owner = None if cache_owner is None else str(cache_owner.absolute())
        self._cache_key = _hash(self._cache_owner) if self._cache_owner else secrets.token_hex(6)
        self._temporary_caches: set[str] = set()

    @contextlib.contextmanager
    def launch(self, chute: ChuteRecord) -> Iterator[DockerInstance]:
        """Start a container of the chute's image. Raises WrapperError when the engine rejects it."""
        key = generate_key()
        with contextlib.ExitStack() as stack:
            cache = self.build_cache_volume(chute.chute_id)
            if cache.owner is None:
                self._temporary_caches.add(cache.name)
            spec = build_container_spec(chute, key=key, cache=cache)
            network = None if chute.allow_external_egress else stack.enter_context(self._engine.internal_network())
            container = stack.enter_context(start_container(self._engine, spec, self._report))
            assert isinstance(container, DockerContainer)  # a DockerEngine starts only these
            entry = container
            if network is not None:
                entry = stack.enter_context(self._start_relay(spec.image, container, network))
            url = f"http://127.0.0.1:{entry.host_ports[platform_rules.CHUTE_PORT]}"
            yield DockerInstance(container, entry, InstanceClient(url, SessionCipher(key)), network, self._report)

    def build_cache_volume(self, chute_id: str) -> KeptVolume:
        """Return the volume that is /cache of a chute."""
        return KeptVolume(
            name=f"chutes-wrappers-cache-{self._cache_key}-{chute_id}",
            target=platform_rules.CACHE_FOLDER,
            uid=platform_rules.INSTANCE_UID,
            owner=self._cache_owner,
        )

    def describe_cache(self, chute_id: str) -> str:
        """Return the name of a chute's volume, and the command that removes it."""
        name = self.build_cache_volume(chute_id).name
        return f"the Docker volume {name}. To remove it: docker volume rm {name}"

    def remove_cache(self, chute_id: str) -> None:
        """Remove the volume of a deleted chute."""
        self._engine.remove_volume(self.build_cache_volume(chute_id).name)

    def close(self) -> None:
        """Remove the volumes of all chutes, unless they belong to a path."""
        for name in self._temporary_caches:
            self._engine.remove_volume(name)

    @contextlib.contextmanager
    def _start_relay(self, image: str, instance: DockerContainer, network: str) -> Iterator[DockerContainer]:
        """Start a relay that reaches ``instance`` through ``network``."""
        with self._engine.run(build_relay_spec(image, instance.join_network(network))) as relay_container:
            relay_container.join_network(network)
            yield relay_container


class DockerInstance:
    """A running container, the one that its calls go to (itself or its relay), and its internal network if it has one."""

    def __init__(
        self,
        container: DockerContainer,
        entry: DockerContainer,
        client: InstanceClient,
        network: str | None,
        report: Callable[[str], None],
    ) -> None:
        self._container = container
        self._entry = entry
        self._network = network
        self._report = report
        self._is_tmp_measurable = True
        self.client = client

    def read_lines(self) -> Iterator[str]:
        last = ""
        for last in self._container.stream_logs():
            yield last
        # The followed log may miss the last lines, which contain the reason of the end.
        tail = self._container.read_tail().split("\n")
        last_index = max((index for index, line in enumerate(tail) if line == last), default=-1)
        yield from tail[last_index + 1 :]

    def poll_exit_code(self) -> int | None:
        """Return its exit code; None while it runs. Raises ServiceFailed when its relay has ended."""
        code = self._container.read_exit_code()
        if code is None and self._entry.read_exit_code() is not None:
            raise ServiceFailed("its relay has ended, so it cannot be called", evidence=self._entry.read_tail())
        return code

    def find_probe_problem(self) -> str:
        try:
            result = self._container.execute(_PROBE_ARGV, timeout_s=_COMMAND_TIMEOUT_S)
        except WrapperError:  # it has ended
            return ""
        if result.exit_code == _CURL_TIMED_OUT:
            return describe_probe_timeout()
        if result.exit_code in _NOT_STARTED:
            return "the image has no curl, which the platform's probe runs"
        return "" if result.exit_code == 0 else result.output.strip() or f"curl exits with {result.exit_code}"

    def measure_written_bytes(self) -> int:
        try:
            return self._container.measure_written_bytes() + self._measure_tmp()
        except WrapperError:  # it has ended
            return 0

    def _measure_tmp(self) -> int:
        if not self._is_tmp_measurable:
            return 0
        # Files may vanish while du reads them, which makes it fail after it has printed the sum.
        try:
            result = self._container.execute(["du", "-sk", "/tmp"], timeout_s=_MEASUREMENT_TIMEOUT_S)
        except WrapperError as error:
            if self._container.read_exit_code() is None:  # each one more would run beside those before
                self._is_tmp_measurable = False
                self._report(f"from now on, what an instance writes to /tmp is not measured: {error.what}")
            return 0
        size = result.output.rpartition("\t")[0].splitlines()[-1:]
        if size and size[0].isdecimal():
            return int(size[0]) * 1024
        if result.exit_code in _NOT_STARTED:
            self._is_tmp_measurable = False
            self._report("the image has no du: what an instance writes to /tmp is not measured")
        return 0

    def list_listening_ports(self) -> Collection[int]:
        """Return the ports that it listens on now; empty when its image has no ``cat``."""
        try:
            tables = self._container.execute(["cat", "/proc/net/tcp", "/proc/net/tcp6"], timeout_s=_COMMAND_TIMEOUT_S)
        except WrapperError:  # it has ended, or has no cat that ends
            return ()
        return {listener.port for listener in parse_listeners(tables.output)}

    def lock_network(self) -> None:
        """Disconnect it from all networks except its internal one, if it has one."""
        if self._network is not None:
            self._container.leave_other_networks(self._network)


def build_container_spec(chute: ChuteRecord, *, key: bytes, cache: KeptVolume | None = None) -> ContainerSpec:
    """Return the container of ``chute``: its image, with our runner and its module.

    Both are copied into the container: other users of this machine must not read the module, which may contain secrets.
    Raises ConfigurationError when the chute has no image.
    """
    if chute.image is None:
        raise ConfigurationError(
            "the chute's image was not built in Docker",
            where=chute.name,
            next_step="build it again with a Docker engine",
        )
    return build_instance_spec(
        chute.image,
        entrypoint=["python", _RUNNER],
        command=[chute.reference],
        environment={**chute.environment, **layout.TRACEBACK_SETTINGS, **build_runner_environment(key)},
        files={
            _RUNNER: RUNNER_SOURCE.read_bytes(),
            f"{platform_rules.INSTANCE_WORKDIR}/{find_module_file(chute)}": chute.code.encode(),
            # Without the platform's secret the forge's stage writes wrong hashes, and the guard library would end every
            # Python (SDK generate_manifest_driver.py).
            platform_rules.BYTECODE_MANIFEST: b"",
        },
        ports=[platform_rules.CHUTE_PORT] if chute.allow_external_egress else [],
        cache=cache,
    )


def build_relay_spec(image: str, address: str) -> ContainerSpec:
    """Return the container of a relay to the instance of ``image`` at ``address``. It gets nothing of the chute."""
    port = str(platform_rules.CHUTE_PORT)
    return ContainerSpec(
        image=image,
        # Nothing but the standard library is loaded, whatever the image's variables and packages are.
        entrypoint=["python", "-I", "-S", _RELAY],
        command=[address, port, port],
        environment={"LD_PRELOAD": ""},
        user=f"{platform_rules.INSTANCE_UID}:{platform_rules.INSTANCE_GID}",
        files={_RELAY: Path(relay.__file__).read_bytes()},
        ports=[platform_rules.CHUTE_PORT],
        capabilities=(),
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
