"""The Docker engine for tests; without one they skip, and say why."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import docker
import pytest

from chutes_wrappers.core.errors import EngineUnavailable
from chutes_wrappers.host.docker_engine import LABEL, DockerEngine, connect


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    """A real engine that can make base images; afterwards nothing of ours runs on it."""
    try:
        found = connect()
    except EngineUnavailable as failure:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no Docker engine: {failure.evidence}")
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        pytest.skip("base images need debootstrap and root")
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _nothing_is_left(engine: DockerEngine) -> Iterator[None]:
    yield
    client = docker.from_env()
    try:
        assert client.containers.list(all=True, filters={"label": LABEL}) == []
        assert client.volumes.list(filters={"label": LABEL}) == []
    finally:
        client.close()
