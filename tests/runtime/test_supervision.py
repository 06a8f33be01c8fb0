"""What ends a chute ends its service: tried on real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import psutil
import pytest

from chutes_wrappers.core.errors import ServiceFailed
from chutes_wrappers.runtime import supervision
from chutes_wrappers.runtime.launcher import ManagedProcess
from tests.scenario import find_free_port

from .conftest import FAMILY, Starter, as_pid_1
from .test_launcher import is_gone, wait_until

ROOT = Path(__file__).resolve().parents[2]
HEAD = f"""
import os, signal, sys, time
from chutes_wrappers.runtime import supervision
from chutes_wrappers.runtime.launcher import ManagedProcess
supervision.STOP_TIMEOUT_S = 0.5

def launch(mode):
    argv = [{sys.executable!r}, {str(FAMILY)!r}, mode]
    process = supervision.start_once(ManagedProcess(argv, environment=os.environ, directory="/"))
    while mode != "orphans" and "pids" not in process.tail:
        time.sleep(0.01)
    print(process.tail or "pids", flush=True)
    return process
"""


class Chute(Protocol):
    def __call__(self, source: str, *prefix: str) -> subprocess.Popen[str]: ...


@pytest.fixture
def chute() -> Iterator[Chute]:
    """Run source behind HEAD in a separate process."""
    with ExitStack() as started:

        def start(source: str, *prefix: str) -> subprocess.Popen[str]:
            argv = [*prefix, sys.executable, "-c", HEAD + textwrap.dedent(source)]
            process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            started.enter_context(process)
            started.callback(process.kill)
            return process

        yield start


def service_pids(process: subprocess.Popen[str]) -> list[int]:
    assert process.stdout is not None
    return [int(word) for word in process.stdout.readline().split()[1:]]


def end(process: subprocess.Popen[str], number: signal.Signals | None = None) -> tuple[int, str]:
    if number is not None:
        process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def are_all_gone(pids: Sequence[int]) -> bool:
    return bool(pids) and all(is_gone(pid) for pid in pids)


def test_the_same_command_is_started_once(family: Starter) -> None:
    first, second = family("daemon"), family("daemon")
    assert supervision.start_once(first) is first
    assert supervision.start_once(second) is first
    assert second.find_processes() == []


def test_a_command_that_has_ended_is_not_started_again(family: Starter) -> None:
    first = family("fail", "0", "1")
    supervision.start_once(first)
    wait_until(lambda: first.exit_code is not None)
    assert supervision.start_once(family("fail", "0", "1")) is first


def test_a_failed_start_leaves_nothing_registered() -> None:
    with pytest.raises(ServiceFailed):
        supervision.start_once(ManagedProcess(["no-such-command"], environment={}, directory="/"))
    assert supervision.get_services() == ()


def test_all_services_end_within_the_same_grace(family: Starter) -> None:
    services = [family("stubborn", str(index)) for index in range(4)]
    for service in services:
        supervision.start_once(service)
        wait_until(lambda service=service: "pids" in service.tail)  # type: ignore[misc]  # the default argument binds it
    started = time.monotonic()
    supervision.stop_all(timeout_s=3)
    assert time.monotonic() - started < 11  # 12, one after the other
    assert not any(service.find_processes() for service in services)


@pytest.mark.parametrize("mode", ["daemon", "stubborn", "deserters"])
def test_sigterm_ends_the_service_and_then_the_chute(chute: Chute, mode: str) -> None:
    process = chute(f"launch({mode!r}); time.sleep(600)")
    pids = service_pids(process)
    code, errors = end(process, signal.SIGTERM)
    assert code == 128 + signal.SIGTERM
    assert are_all_gone(pids)
    assert "SIGTERM: stopping the service" in errors


def test_sigterm_runs_nothing_else(chute: Chute) -> None:
    process = chute("""
        try:
            launch("daemon")
            time.sleep(600)
        finally:
            print("hooks ran", file=sys.stderr)
    """)
    service_pids(process)
    code, errors = end(process, signal.SIGTERM)
    assert code == 143
    assert "hooks ran" not in errors


def test_ctrl_c_stops_the_service(chute: Chute) -> None:
    process = chute("signal.signal(signal.SIGINT, signal.default_int_handler); launch('daemon'); time.sleep(600)")
    pids = service_pids(process)
    code, _ = end(process, signal.SIGINT)
    assert code != 0
    assert are_all_gone(pids)


def test_the_chutes_normal_exit_stops_the_service(chute: Chute) -> None:
    process = chute("launch('daemon')")
    pids = service_pids(process)
    assert end(process)[0] == 0
    assert are_all_gone(pids)


def test_the_handler_of_a_tee_chutes_attestation_server_does_not_keep_the_service_alive(chute: Chute) -> None:
    process = chute(f"""
        import asyncio
        from chutes.entrypoint import verify
        uvicorn_config = verify.Config
        verify.Config = lambda **options: uvicorn_config(**{{**options, "host": "127.0.0.1"}})
        os.environ["CHUTES_TEE_EVIDENCE_PORT"] = "{find_free_port()}"

        async def run():
            await verify.TeeEvidenceService().start(e2e_pubkey="")
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
            launch("daemon")
            await asyncio.sleep(600)

        asyncio.run(run())
    """)
    pids = service_pids(process)
    code, errors = end(process, signal.SIGTERM)
    assert code == 128 + signal.SIGTERM, errors
    assert are_all_gone(pids)
    assert "SIGTERM: stopping the service" in errors


def test_a_sigterm_handler_of_the_module_is_kept(chute: Chute) -> None:
    process = chute("""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
        launch("daemon")
        time.sleep(600)
    """)
    pids = service_pids(process)
    assert end(process, signal.SIGTERM)[0] == 7
    assert are_all_gone(pids)


def test_a_terminated_fork_does_not_stop_the_service(chute: Chute) -> None:
    process = chute("""
        service = launch("daemon")
        reader, writer = os.pipe()
        worker = os.fork()
        if worker == 0:
            os.write(writer, b"up")
            time.sleep(600)
        os.read(reader, 2)
        os.kill(worker, signal.SIGTERM)
        _, status = os.waitpid(worker, 0)
        assert os.WTERMSIG(status) == signal.SIGTERM
        assert service.exit_code is None
        assert len(service.find_processes()) == 2
    """)
    pids = service_pids(process)
    code, errors = end(process)
    assert code == 0, errors
    assert are_all_gone(pids)


def test_a_service_can_be_started_from_another_thread(chute: Chute) -> None:
    process = chute("""
        import threading
        thread = threading.Thread(target=launch, args=("daemon",))
        thread.start()
        thread.join()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    """)
    pids = service_pids(process)
    code, errors = end(process)
    assert code == 0, errors
    assert are_all_gone(pids)


def test_output_of_the_chute_is_flushed_before_its_exit(chute: Chute) -> None:
    process = chute("""
        launch("daemon")
        sys.stdout = open(1, "w", closefd=False)  # buffered, whatever PYTHONUNBUFFERED says
        print("last words")
        os.write(1, b"printed\\n")
        time.sleep(600)
    """)
    service_pids(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "printed\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[0] == "last words\n"


def test_as_pid_1_sigterm_ends_the_chute_too(chute: Chute) -> None:
    outer = chute("launch('stubborn'); time.sleep(600)", *as_pid_1())
    service_pids(outer)
    (inner,) = psutil.Process(outer.pid).children()
    os.kill(inner.pid, signal.SIGTERM)
    assert end(outer)[0] == 143


def test_as_pid_1_only_the_services_dead_orphans_are_reaped(chute: Chute) -> None:
    outer = chute(
        """
        import contextlib, psutil, subprocess
        launch("orphans")
        mine = subprocess.Popen(["sh", "-c", "exit 7"])
        me, seen = psutil.Process(), set()
        while len(seen) < 20:
            with contextlib.suppress(psutil.NoSuchProcess):  # reaped meanwhile
                dead = [child.pid for child in me.children() if child.status() == psutil.STATUS_ZOMBIE]
                seen |= {*dead} - {mine.pid}
        while any(psutil.pid_exists(pid) for pid in seen):  # for ever without reaping
            time.sleep(0.05)
        supervision.stop_all()
        assert mine.wait() == 7
        """,
        *as_pid_1(),
    )
    service_pids(outer)
    code, errors = end(outer)
    assert code == 0, errors
