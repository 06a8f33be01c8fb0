from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import psutil
import pytest

from chutes_wrappers.host import processes

HERE = Path(__file__).parent
PROCESS_TREE = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(os.getpid(), child.pid, flush=True)
signal.pause()
"""


def test_output_and_exit_code_are_returned() -> None:
    script = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    result = processes.capture([sys.executable, "-c", script], environment=os.environ, directory=HERE)
    assert (result.exit_code, result.output, result.errors) == (3, "out\n", "err\n")


def test_a_process_gets_no_secret_of_the_set_up() -> None:
    script = "import os; print(*(name for name in os.environ if name.startswith('CHUTES_')))"
    environment = {**os.environ, "CHUTES_HOTKEY_SEED": "x", "CHUTES_REGISTRATION_TOKEN": "x", "CHUTES_USERNAME": "x"}
    result = processes.capture([sys.executable, "-c", script], environment=environment, directory=HERE)
    assert "CHUTES_USERNAME" in result.output
    assert not {"CHUTES_HOTKEY_SEED", "CHUTES_REGISTRATION_TOKEN"} & {*result.output.split()}


def test_lines_arrive_in_order_whatever_their_bytes() -> None:
    script = "import sys; sys.stdout.buffer.write(b'one\\n\\xff\\xfe\\r\\nlast'); sys.exit(1)"
    lines: list[str] = []
    code = processes.stream(
        [sys.executable, "-c", script], environment=os.environ, directory=HERE, on_line=lines.append
    )
    assert code == 1
    assert lines == ["one", "\ufffd\ufffd", "last"]


def test_a_command_that_times_out_is_killed_with_its_children(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "_GRACE_S", 0.2)
    monkeypatch.setattr(processes, "_SLOW_S", 0.1)
    said: list[str] = []
    argv = [sys.executable, "-c", PROCESS_TREE]
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(TimeoutError, match=r"1\.5 s"):
        processes.capture(
            argv, environment=os.environ, directory=HERE, timeout_s=1.5, on_slow=lambda: said.append("slow")
        )
    assert said == ["slow"]
    assert set(psutil.Process().children(recursive=True)) <= before


def test_there_is_no_standard_input_to_wait_for() -> None:
    script = "import sys; print(repr(sys.stdin.read()))"
    assert processes.capture([sys.executable, "-c", script], environment=os.environ, directory=HERE).output == "''\n"


def test_a_stubborn_process_and_its_children_are_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_GRACE_S", 0.2)
    argv = [sys.executable, "-c", PROCESS_TREE]
    pids: list[int] = []
    with (
        contextlib.suppress(KeyboardInterrupt),
        processes.start_process(argv, environment=os.environ, directory=HERE) as process,
    ):
        pids = [int(pid) for pid in next(processes.read_lines(process)).split()]
        raise KeyboardInterrupt
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=60)
    assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]
