"""A service's descendants: found in any session, and reaped if no other process does it. Tested with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from chutes_wrappers.runtime.process_tree import TREE_ID_VARIABLE, ProcessTree

from .conftest import as_pid_1
from .test_launcher import wait_until

ROOT = Path(__file__).resolve().parents[2]
MARK = "test-family"
Leader = Callable[[str], tuple[ProcessTree, list[int]]]


@pytest.fixture
def leader() -> Iterator[Leader]:
    """Start a shell that leads a session and has the mark, and prints the pids of its descendants: its family, and those pids."""
    started: list[tuple[subprocess.Popen[str], ProcessTree]] = []

    def start(script: str) -> tuple[ProcessTree, list[int]]:
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"{script}\nexec sleep 600"],
            env={**os.environ, TREE_ID_VARIABLE: MARK},
            start_new_session=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        family = ProcessTree(MARK)
        family.set_root(process.pid)
        started.append((process, family))
        assert process.stdout is not None
        return family, [process.pid, *map(int, process.stdout.readline().split())]

    yield start
    for process, family in started:
        family.wait_until_gone(20, kill=True)
        process.communicate()


def pids(family: ProcessTree) -> set[int]:
    return {process.pid for process in family.find_members()}


def wait_until_members_are(family: ProcessTree, expected: set[int]) -> None:
    """Look again while a program begins: then its environment cannot be read for a moment."""
    wait_until(lambda: pids(family) == expected)


@pytest.mark.parametrize(
    "script",
    [
        "sleep 600 >/dev/null & echo $!",
        "setsid sleep 600 >/dev/null & echo $!",  # another session
        "echo $(sh -c 'sleep 600 >/dev/null & echo $!')",  # a parent that has ended
        "echo $(setsid sh -c 'sleep 600 >/dev/null & echo $!')",  # both
        f"env -u {TREE_ID_VARIABLE} sleep 600 >/dev/null & echo $!",  # no mark
        f"echo $(env -u {TREE_ID_VARIABLE} sh -c 'sleep 600 >/dev/null & echo $!')",
    ],
)
def test_a_descendant_is_found_wherever_it_went(leader: Leader, script: str) -> None:
    family, started = leader(script)
    wait_until_members_are(family, set(started))


def test_a_known_member_stays_a_member(leader: Leader, tmp_path: Path) -> None:
    """It leaves for a session of its own, its environment has no mark any more, and its parent ends."""
    os.mkfifo(tmp_path / "go")
    leaves = "import os, sys; open(sys.argv[1]).read(); os.setsid(); os.execvpe('sleep', ['sleep', '600'], {})"
    family, (first, child) = leader(f'{sys.executable} -c "{leaves}" {tmp_path / "go"} >/dev/null & echo $!')
    wait_until_members_are(family, {first, child})
    (tmp_path / "go").write_text("now")
    wait_until(lambda: psutil.Process(child).name() == "sleep")
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    assert pids(family) == {child}
    assert pids(family) == {child}  # again, by what was remembered from the last time


def test_no_other_process_is_a_member(leader: Leader) -> None:
    family, _ = leader("echo")
    with subprocess.Popen(["sleep", "600"], env={**os.environ, TREE_ID_VARIABLE: "another"}) as other:
        try:
            assert {other.pid, os.getpid(), os.getppid()} & pids(family) == set()
        finally:
            other.kill()


def test_a_signal_is_sent_to_every_member(leader: Leader) -> None:
    family, started = leader("setsid sleep 600 >/dev/null & echo $!")
    wait_until_members_are(family, set(started))
    family.send_signal(signal.SIGKILL)
    assert family.wait_until_gone(20)


def test_those_that_do_not_end_are_waited_for_so_long_and_killed_on_demand(leader: Leader) -> None:
    family, started = leader("trap '' TERM; echo $(setsid sh -c 'sleep 600 >/dev/null & echo $!')")
    wait_until_members_are(family, set(started))
    family.send_signal(signal.SIGTERM)
    assert not family.wait_until_gone(0.1)
    assert pids(family) == set(started)
    assert family.wait_until_gone(20, kill=True)
    assert pids(family) == set()


_AS_PID_1 = """
import os, signal, subprocess, time
import psutil
from chutes_wrappers.runtime.process_tree import TREE_ID_VARIABLE, ProcessTree

marked = {**os.environ, TREE_ID_VARIABLE: "test"}

def orphan():
    script = "setsid sh -c 'setsid sleep 600 >/dev/null & echo $!'"
    return int(subprocess.run(["sh", "-c", script], env=marked, stdout=subprocess.PIPE, text=True).stdout)

def wait_until_dead(*pids):
    while not all(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE for pid in pids):
        time.sleep(0.01)

family = ProcessTree("test")
first = subprocess.Popen(["sh", "-c", "exit 7"], env=marked, start_new_session=True)
family.set_root(first.pid)
seen = orphan()
while seen not in {process.pid for process in family.find_members()}:
    time.sleep(0.01)
unseen, own = orphan(), subprocess.Popen(["sh", "-c", "exit 8"])
for pid in (seen, unseen):
    os.kill(pid, signal.SIGKILL)
wait_until_dead(seen, unseen, first.pid, own.pid)
for _ in range(3):
    family.reap_orphans()
    print(psutil.pid_exists(seen), psutil.pid_exists(unseen))
print(first.wait(), own.wait())
"""


def test_as_pid_1_only_dead_orphans_are_reaped() -> None:
    """At once when they were members; at the second time when they were never seen alive."""
    done = subprocess.run(
        [*as_pid_1(), sys.executable, "-c", _AS_PID_1], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["False True", "False False", "False False", "7 8"]
