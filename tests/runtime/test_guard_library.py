"""Services under the guard that the platform preloads: the library of the installed SDK itself (PLATFORM.md, section 1)."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.runtime.launcher import build_service_environment

ROOT = Path(__file__).resolve().parents[2]
SERVICE = """
import asyncio, subprocess, sys
from chutes_wrappers.core.errors import ServiceFailed
from chutes_wrappers.runtime.launcher import ManagedProcess

async def code_of_a_later_child():
    return await (await asyncio.create_subprocess_exec("/bin/true")).wait()

with ManagedProcess(["/bin/sh", "-c", "sleep 60"], environment={"PATH": "/usr/bin:/bin"}, directory="/") as service:
    subprocess.run(["/bin/true"], check=True)
    assert asyncio.run(code_of_a_later_child()) == 0
    assert service.exit_code is None, service.make_failure()
"""

# Each starts a child by vfork, and prints its exit code. ``multiprocessing`` needs a file to import in its children.
CHILDREN = """
import asyncio, multiprocessing, os, subprocess

def end(): raise SystemExit(7)

async def code_of(start): return await (await start).wait()

def start(method):
    process = multiprocessing.get_context(method).Process(target=end)
    process.start()
    process.join()
    return process.exitcode

if __name__ == "__main__":
    assert subprocess.run(["/bin/true"]).returncode == 0
    assert subprocess.run("exit 3", shell=True).returncode == 3
    assert os.popen("echo popen").read() == "popen\\n"
    assert asyncio.run(code_of(asyncio.create_subprocess_exec("/bin/true"))) == 0
    assert asyncio.run(code_of(asyncio.create_subprocess_shell("exit 3"))) == 3
    assert start("spawn") == 7
    assert start("forkserver") == 7
"""
PYTHON_SERVICE = """
import sys
from chutes_wrappers.runtime.launcher import ManagedProcess

with ManagedProcess([sys.executable, sys.argv[1]], environment={"LD_PRELOAD": sys.argv[2]}, directory="/") as service:
    service._has_ended.wait()
    print(service.tail)
    sys.exit(service.exit_code)
"""


def find_guard() -> Path:
    """The library of the installed SDK."""
    sdk = importlib.util.find_spec("chutes")
    assert sdk is not None
    assert sdk.submodule_search_locations is not None
    return Path(sdk.submodule_search_locations[0]) / "chutes-aegis.so"


def run_guarded(program: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A Python program under the guard, with these arguments and variables."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LD_PRELOAD": str(find_guard()), **variables}
    argv = [sys.executable, "-c", program, *arguments]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_child_of_vfork_is_killed() -> None:
    done = run_guarded("import subprocess, sys; sys.exit(-subprocess.run(['/bin/true']).returncode)")
    assert done.returncode == signal.SIGSEGV, done.stderr


def test_a_service_and_later_children_of_the_chute_survive() -> None:
    done = run_guarded(SERVICE)
    assert done.returncode == 0, done.stderr


def test_a_python_service_starts_children_in_every_way_except_that_of_uvloop(tmp_path: Path) -> None:
    (tmp_path / "children.py").write_text(CHILDREN)
    done = run_guarded(PYTHON_SERVICE, str(tmp_path / "children.py"), str(find_guard()))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", platform_rules.FAULTHANDLER_VARIABLES)
def test_a_python_with_faulthandler_crashes_and_a_service_does_not_get_its_variables(name: str) -> None:
    assert run_guarded("", **{name: "1"}).returncode == -signal.SIGSEGV
    image = LaunchSpec(environment={name: "1"})
    for environment in (
        build_service_environment(image, {}, {}),
        build_service_environment(LaunchSpec(), {name: "1"}, {}),
        build_service_environment(LaunchSpec(), {}, {name: "1"}),
    ):
        assert name not in environment
        assert run_guarded("", **environment).returncode == 0
