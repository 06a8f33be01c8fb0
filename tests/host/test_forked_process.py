"""Programs that share one import of the SDK's libraries: each is what it would be if it had been started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from chutes_wrappers.host import processes
from chutes_wrappers.host.forked_process import ForkServer
from tests.scenario import ROOT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="libraries are shared on Linux only")
SHOW, WAIT = "shown_program:show", "shown_program:wait"
PROGRAM = """
import os
import signal
import subprocess
import sys

def show():
    print(f"parent={os.getppid()}")
    print("arguments=" + " ".join(sys.argv))
    print(f"folder={os.getcwd()}")
    print(f"user={os.environ.get('CHUTES_USERNAME')}")
    print(f"leads its session={os.getsid(0) == os.getpid()}")
    if "read" in sys.argv:
        print(f"read={sys.stdin.read()}")
    print("to the errors", file=sys.stderr)
    return 3

def wait():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    print(child.pid, flush=True)
    signal.pause()
"""
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("CHUTES_", "LOGURU_"))}


@pytest.fixture(scope="module", autouse=True)
def library_process(real_processes: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Share the libraries in all tests of this module. The value is the id of the process that has them."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "shown_program.py").write_text(PROGRAM)
    ENVIRONMENT["PYTHONPATH"] = str(folder)
    with processes.share_libraries():
        shown = run(SHOW)
        yield int(shown["parent"])
    assert not psutil.pid_exists(int(shown["parent"]))


def run(
    target: str, *arguments: str, environment: Mapping[str, str] = ENVIRONMENT, directory: Path = ROOT
) -> dict[str, str]:
    argv = processes.build_python_argv(target, *arguments)
    result = processes.capture(argv, environment=environment, directory=directory, timeout_s=60)
    assert result.exit_code == 3, result.errors
    assert result.errors == "to the errors\n"
    return dict(line.split("=", 1) for line in result.output.splitlines())


def wait_for_end(pid: int) -> None:
    """Wait until the process ``pid``, which nobody here may reap, has ended."""
    deadline = time.monotonic() + 60
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline


def test_a_program_has_its_own_arguments_folder_and_environment(library_process: int, tmp_path: Path) -> None:
    shown = run(SHOW, "one", "two", environment={**ENVIRONMENT, "CHUTES_USERNAME": "x"}, directory=tmp_path)
    assert shown == {
        "parent": str(library_process),
        "arguments": "shown_program:show one two",
        "folder": str(tmp_path),
        "user": "x",
        "leads its session": "True",
    }
    assert run(SHOW)["user"] == "None"


def test_other_libraries_are_loaded_by_the_program_itself(library_process: int) -> None:
    assert run(SHOW, environment={**ENVIRONMENT, "LOGURU_LEVEL": "ERROR"})["parent"] != str(library_process)
    assert run(SHOW)["parent"] == str(library_process)


@pytest.mark.parametrize("variable", ["TZ", "LD_LIBRARY_PATH", "LC_ALL", "PYTHONHASHSEED"])
def test_what_a_program_reads_only_at_its_start_is_not_shared(variable: str) -> None:
    one, other = socket.socketpair()
    with one, other:
        server = ForkServer(one, os.getpid(), {"HOME": "/"})
        assert server.can_start({"HOME": "/", "NAME": "x", "LC_CTYPE": "C.UTF-8"})
        assert not server.can_start({"HOME": "/", variable: "x"})


def test_an_environment_above_the_limit_of_a_request_arrives(library_process: int) -> None:
    large = {f"LARGE_{number}": "x" * 60_000 for number in range(3)}
    assert run(SHOW, environment={**ENVIRONMENT, **large, "CHUTES_USERNAME": "x"})["user"] == "x"
    assert run(SHOW)["parent"] == str(library_process)


def test_input_and_output_are_streams() -> None:
    lines: list[str] = []
    code = processes.stream(
        processes.build_python_argv(SHOW, "read"),
        environment=ENVIRONMENT,
        directory=ROOT,
        on_line=lines.append,
        input_text="given",
    )
    assert code == 3
    assert {"to the errors", "read=given"} <= {*lines}


def test_a_program_that_does_not_end_is_ended_with_its_children(
    library_process: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_GRACE_S", 0.2)
    with processes.start_process(processes.build_python_argv(WAIT), environment=ENVIRONMENT, directory=ROOT) as process:
        child = int(next(processes.read_lines(process)))
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
    assert process.wait() == -signal.SIGKILL
    assert not psutil.pid_exists(process.pid)
    wait_for_end(child)
    assert psutil.Process(library_process).is_running()


def test_a_program_knows_its_parent(library_process: int) -> None:
    argv = processes.build_python_argv(SHOW)
    with processes.start_process(
        argv, environment=ENVIRONMENT, directory=ROOT, parent_variable="CHUTES_USERNAME"
    ) as process:
        assert f"user={library_process}" in [*processes.read_lines(process)]


def test_programs_start_without_the_library_process_when_it_was_killed() -> None:
    with processes.share_libraries():  # nested: the fixture's
        parent = int(run(SHOW)["parent"])
        os.kill(parent, signal.SIGKILL)
        wait_for_end(parent)
        assert run(SHOW)["parent"] == str(os.getpid())
