"""Discover, build and run on bases as untidy as vendors' are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core.layout import BAKED_LIB, RECIPE_VARIABLES
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from tests.scenario import Scenario

from . import bases

pytestmark = pytest.mark.docker

# What each base is there to show, asked of the service's own /who.
BASES: dict[str, dict[str, Any]] = {
    "trixie": {"home": "/root", "cwd": "/"},  # longest, so first
    "python3-no-pip": {"home": "/root", "cwd": "/"},
    "vendor-venv-path": {"home": "/root", "cwd": "/"},
    "uid-1000-taken": {"home": "/home/ubuntu"},
    "other-user": {"home": "/home/app", "cwd": "/home/app"},
    "entrypoint-script": {"cwd": "/opt/vendor"},
}
# What these show is seen elsewhere, too: a relative path below a root's folder with ChromaDB's image, a closed home in
# test_recipe.py, and an /app with a package `tools` in test_image.py.
MORE_BASES: dict[str, dict[str, Any]] = {
    "root-workdir": {"cwd": "/srv/data"},
    "writes-root-home": {"home": "/root"},
    "vendor-app-tools": {"cwd": "/app"},
}
# These have a Python that the SDK may use; the others get the default that they lack.
PYTHON_3_11 = dict.fromkeys(
    ("vendor-venv-path", "uid-1000-taken", "other-user", "root-workdir", "writes-root-home", "entrypoint-script"),
    "python_version='3.11'",
)
# The vendor's settings that the service must see as in its own image.
ENVIRONMENT: dict[str, dict[str, str]] = {
    "vendor-venv-path": {
        "PATH": "/opt/venv/bin:/usr/bin:/bin",
        # With what its own child processes need under the guard library.
        "PYTHONPATH": f"{BAKED_LIB}/chutes_wrappers/runtime/service_python:/srv/echo",
        "PIP_USER": "1",
        "VIRTUAL_ENV": "/opt/venv",
    },
    "entrypoint-script": {"PATH": f"/opt/vendor:{bases.PATH}", "FROM_HELPER": "helped", "SETTING": "read"},
}


@pytest.mark.parametrize("name", [*BASES, *(pytest.param(name, marks=pytest.mark.exhaustive) for name in MORE_BASES)])
def test_a_vendor_image_is_discovered_built_and_served(name: str, engine: DockerEngine, tmp_path: Path) -> None:
    python = PYTHON_3_11.get(name, "")
    scenario = Scenario(tmp_path, name, bases.image(name), [9090], env={"FROM_MODULE": "given"}, image_arguments=python)
    scenario.discover()
    built = scenario.build()
    assert "5 cords" in built or "the same in the image and on this machine" in built
    with scenario.running() as instance:
        assert instance.get("/health").json() == {"status": "ok"}
        assert instance.get("/echo", x="a b").json() == {"method": "GET", "query": {"x": "a b"}}
        assert instance.post("/echo", {"n": [1]}, x="y").json() == {
            "method": "POST",
            "query": {"x": "y"},
            "body": {"n": [1]},
        }
        assert instance.post("/echo/put", {"n": 2}).json() == {"method": "PUT", "query": {}, "body": {"n": 2}}
        who = instance.get("/who").json()
    assert who["uid"] == 1000
    for key, value in {**BASES, **MORE_BASES}[name].items():
        assert who[key] == value
    seen = who["env"]
    assert seen["FROM_MODULE"] == "given"
    assert seen["HF_HOME"] == "/cache"
    assert seen["PATH"] == ENVIRONMENT.get(name, {}).get("PATH", bases.PATH)
    assert not [key for key in seen if key in RECIPE_VARIABLES]
    assert ENVIRONMENT.get(name, {}).items() <= seen.items()


def test_an_image_without_python_is_served_too(engine: DockerEngine, tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "no-python", bases.image("no-python"), [9090], image_arguments="slim=True")
    scenario.discover()
    scenario.build()
    with scenario.running() as instance:
        assert instance.get("/health").json() == {"status": "ok"}
        assert instance.get("/echo", x="1").json() == {"query": "x=1"}
