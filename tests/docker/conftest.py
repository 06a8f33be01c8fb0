"""The Docker engine for tests; without one they skip, and say why (in CI they fail).

Several processes may run these tests at once (``pytest -n 2 -m docker tests/docker``). A test marked ``alone`` has the engine to itself: it
counts all containers, or leaves one behind that any other command would remove.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator, Mapping
from typing import NoReturn

import docker
import psutil
import pytest

from chutes_wrappers.core.errors import EngineUnavailable
from chutes_wrappers.host.container_engine.docker_engine import LABEL, DockerEngine, connect
from tests import scheduling

from . import turns

# They begin first, so that no process is left alone with one at the end.
_FIRST = (
    *("test_readme.py", "test_canary.py", "test_create.py", "test_remote_build.py", "test_image.py"),
    *("test_emulated_build.py", "test_real_services.py"),
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: no other test may use the Docker engine meanwhile")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first."""
    items.sort(key=lambda item: _FIRST.index(item.path.name) if item.path.name in _FIRST else len(_FIRST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> scheduling.GroupScheduling:
    return scheduling.GroupScheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Wait for the test's turn before its fixtures are made; it ends when they are gone."""
    if item.get_closest_marker("docker") is None:
        return (yield)
    with turns.turn(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    """A real engine that can make base images."""
    try:
        found = connect()
    except EngineUnavailable as failure:
        _without(f"no Docker engine: {failure.evidence}")
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        _without("base images need debootstrap and root")
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _nothing_is_left(engine: DockerEngine) -> Iterator[None]:
    """After each test, nothing runs that it, or a process that it started, has started."""
    yield
    client = docker.from_env()
    try:
        containers = client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
        assert [container.name for container in containers if _is_left(container.labels)] == []
        volumes = client.volumes.list(filters={"label": LABEL})
        assert [volume.name for volume in volumes if _is_left((volume.attrs or {})["Labels"])] == []
    finally:
        client.close()


def _is_left(labels: Mapping[str, str]) -> bool:
    # Another test run on this machine may have containers of its own.
    pid = int(labels[LABEL].partition("-")[0])
    return pid == os.getpid() or not psutil.pid_exists(pid)


def _without(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
