"""Instances as Docker containers of the built image, as the platform's pods run them (PLATFORM.md, section 1)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator

from chutes_wrappers.core import layout, platform_rules
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.emulator.launcher import RUNNER_SOURCE, build_runner_environment, find_module_file, generate_key
from chutes_wrappers.emulator.records import ChuteRecord
from chutes_wrappers.emulator.runner import SessionCipher
from chutes_wrappers.emulator.transport import InstanceClient
from chutes_wrappers.host.container_engine.docker_container import DockerContainer
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from chutes_wrappers.host.container_engine.engine import ContainerSpec, start_container
from chutes_wrappers.host.container_engine.instance_container import build_instance_spec
from chutes_wrappers.host.discovery.sockets import parse_listeners

_RUNNER = "/opt/chutes-emulator/runner.py"
_CAT_TIMEOUT_S = 10.0


class DockerLauncher:
    """Starts instances as containers of ``engine``. ``report`` gets a line when the engine has no GPU for them.

    An instance without outbound network gets its own internal network. This machine reaches that network only when the
    engine runs on it directly (Linux).
    """

    max_running: int | None = None

    def __init__(self, engine: DockerEngine, report: Callable[[str], None] = lambda line: None) -> None:
        self._engine = engine
        self._report = report

    @contextlib.contextmanager
    def launch(self, chute: ChuteRecord) -> Iterator[DockerInstance]:
        """Start a container of the chute's image. Raises WrapperError when the engine rejects it."""
        key = generate_key()
        with contextlib.ExitStack() as stack:
            spec = build_container_spec(chute, key=key)
            network = None if chute.allow_external_egress else stack.enter_context(self._engine.internal_network())
            container = stack.enter_context(start_container(self._engine, spec, self._report))
            assert isinstance(container, DockerContainer)  # a DockerEngine starts only these
            if network is None:
                address = f"127.0.0.1:{container.host_ports[platform_rules.CHUTE_PORT]}"
            else:
                address = f"{container.join_network(network)}:{platform_rules.CHUTE_PORT}"
            yield DockerInstance(container, InstanceClient(f"http://{address}", SessionCipher(key)), network)


class DockerInstance:
    """A running container, and the internal network that it is limited to when its network is locked."""

    def __init__(self, container: DockerContainer, client: InstanceClient, inside: str | None) -> None:
        self._container = container
        self._network = inside
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
        return self._container.read_exit_code()

    def list_listening_ports(self) -> Collection[int]:
        """Return the ports that it listens on now; empty when its image has no ``cat``."""
        try:
            tables = self._container.execute(["cat", "/proc/net/tcp", "/proc/net/tcp6"], timeout_s=_CAT_TIMEOUT_S)
        except WrapperError:  # it has ended, or has no cat that ends
            return ()
        return {listener.port for listener in parse_listeners(tables.output)}

    def lock_network(self) -> None:
        """Disconnect it from all networks except its internal one, if it has one."""
        if self._network is not None:
            self._container.leave_other_networks(self._network)


def build_container_spec(chute: ChuteRecord, *, key: bytes) -> ContainerSpec:
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
        },
        ports=[platform_rules.CHUTE_PORT] if chute.allow_external_egress else [],
    )
