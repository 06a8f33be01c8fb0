"""Private parts of the SDK that we use: each must still exist under its name.

The SDK has no public way to them. A failure here names what has gone and who uses it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from chutes.chute import Chute

from chutes_wrappers.sdk.describe import describe

CORD = {
    "_func": "sdk/describe.py",
    "_method": "sdk/describe.py and sdk/header_wiring.py",
    "_passthrough": "sdk/describe.py and sdk/header_wiring.py",
    "_passthrough_port": "sdk/describe.py and sdk/header_wiring.py",
    "_public_api_method": "sdk/describe.py, sdk/cord_overrides.py and sdk/header_wiring.py",
    "_stream": "sdk/describe.py",
}
MODULES = {
    "chutes.entrypoint._shared": ("load_chute",),
    "chutes.entrypoint.logger": ("app", "authenticate_request", "launch_server"),
    "chutes.entrypoint.run": (
        "ChutePack", "GraValMiddleware", "HypercornConfig", "_conn_stats", "aegis_decrypt", "aegis_encrypt",
        "authenticate_request", "get_metrics", "hypercorn_serve", "init_user_code_executor", "load_chute", "pong",
    ),
    "chutes.entrypoint.verify": ("Config", "TeeEvidenceService"),
}  # fmt: skip


def make_chute_with_cord(**settings: Any) -> Chute:
    chute = Chute(username="tester", name="case", image="case:v1")

    @chute.cord(**settings)  # type: ignore[untyped-decorator]  # the SDK has no types
    async def predict(self: Any) -> None: ...

    return chute


@pytest.mark.parametrize("name", CORD)
def test_a_cord_has_the_attributes_that_we_read(name: str) -> None:
    (cord,) = make_chute_with_cord(public_api_path="/a").cords
    assert hasattr(cord, name), f"the SDK's Cord has no {name} any more: correct chutes_wrappers/{CORD[name]}"


def test_the_attributes_of_a_cord_are_those_that_were_declared() -> None:
    chute = make_chute_with_cord(
        path="/inside",
        public_api_path="/a",
        public_api_method="PUT",
        method="PATCH",
        stream=True,
        passthrough=True,
        passthrough_path="/b",
        passthrough_port=8020,
    )
    (cord,) = describe(chute)["cords"]
    read = ("function", "public_api_method", "method", "stream", "passthrough", "passthrough_port")
    assert [cord[name] for name in read] == ["predict", "PUT", "PATCH", True, True, 8020]


# In a process of its own: importing the SDK's run module changes the interpreter (bytecode caches).
_LIST_NAMES = """
import importlib, inspect, json, sys
names = {name: dir(importlib.import_module(name)) for name in json.loads(sys.argv[1])}
run = importlib.import_module("chutes.entrypoint.run")
names["_conn_stats"] = dir(getattr(run, "_conn_stats", None))
names["GraValMiddleware"] = inspect.getsource(run.GraValMiddleware)
print(json.dumps(names))
"""


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """The names in each of MODULES and in its ``_conn_stats``, and the source of its middleware."""
    argv = [sys.executable, "-c", _LIST_NAMES, json.dumps([*MODULES])]
    result: dict[str, Any] = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout.splitlines()[-1])
    return result


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in MODULES.items() for name in names])
def test_a_module_of_the_sdk_has_what_we_use(names: dict[str, Any], module: str, name: str) -> None:
    user = "sdk/describe.py" if module.endswith("_shared") else "emulator/runner.py"
    assert name in names[module], f"{module} has no {name} any more: correct chutes_wrappers/{user}"


def test_the_connections_are_counted_by_get_stats(names: dict[str, Any]) -> None:
    assert "get_stats" in names["_conn_stats"], "_conn_stats has no get_stats any more: correct emulator/runner.py"


@pytest.mark.parametrize("name", ["request.state._encrypt", "request.state.decrypted"])
def test_the_middleware_leaves_its_cipher_with_the_request(names: dict[str, Any], name: str) -> None:
    assert f"{name} = " in names["GraValMiddleware"], (
        f"the SDK does not set {name} any more: correct emulator/runner.py"
    )


@pytest.mark.skipif(not hasattr(os, "posix_spawn"), reason="only Linux has vfork")
def test_python_has_its_switch_for_vfork() -> None:
    """Documented with ``subprocess``; of our versions only early ones of 3.10 lack it."""
    assert hasattr(subprocess, "_USE_VFORK"), "subprocess has no _USE_VFORK any more: correct runtime/launcher.py"
