"""The Docker engine for tests; without one they skip, and say why (in CI they fail)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from typing import NoReturn

import docker
import psutil
import pytest

from chutes_wrappers.core.errors import EngineUnavailable
from chutes_wrappers.host.docker_engine import LABEL, DockerEngine, connect


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
