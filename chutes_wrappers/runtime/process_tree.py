"""Every process that descends from one service, wherever it went."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import defaultdict

import psutil

# Set to a value of its own for each service, so that descendants can be told from others after they left the process tree.
MARK_VARIABLE = "CHUTES_WRAPPERS_SERVICE"
_POLL_S = 0.05


class ProcessFamily:
    """The descendants of a process that leads a session of its own and has ``mark`` in its environment.

    Members are found by session, by ancestry and by the mark, and remembered: each of these can be lost (setsid, a parent
    that ends, a program that overwrites its environment).
    """

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._first: int | None = None
        self._known: set[psutil.Process] = set()
        self._dead: set[psutil.Process] = set()
        self._sessions: set[int] = set()
        # Re-entrant, because the handler of SIGTERM may interrupt the main thread in here.
        self._lock = threading.RLock()

    def descend_from(self, pid: int) -> None:
        """Name the first member, which its parent waits for itself."""
        self._first = pid
        self._sessions.add(pid)

    def members(self) -> list[psutil.Process]:
        """Those that live now."""
        return [process for process in self._scan() if not _is_zombie(process)]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to every member."""
        for process in self.members():
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)

    def wait_until_gone(self, timeout_s: float, *, kill: bool = False) -> bool:
        """Whether no member is left after at most ``timeout_s`` seconds; with ``kill`` whoever is found gets SIGKILL."""
        deadline = time.monotonic() + timeout_s
        while self.members():
            if (left_s := deadline - time.monotonic()) <= 0:
                return False
            if kill:
                self.send(signal.SIGKILL)
            self.reap_orphans()
            time.sleep(min(_POLL_S, left_s))
        return True

    def reap_orphans(self) -> None:
        """Reap dead members that PID 1 inherited, when that is us: nobody else waits for them."""
        if os.getpid() != 1:
            return
        family = self._scan()
        dead = {process for process in psutil.process_iter() if self._is_dead_orphan(process)}
        # One that was never seen alive cannot be told from a child of the chute, which is left the time to wait for it.
        for process in dead & (family | self._dead):
            with contextlib.suppress(OSError):
                os.waitpid(process.pid, os.WNOHANG)
        self._dead = dead

    def _is_dead_orphan(self, process: psutil.Process) -> bool:
        try:
            return process.pid != self._first and process.ppid() == 1 and _is_zombie(process) and _left(process)
        except psutil.Error:
            return False

    def _scan(self) -> set[psutil.Process]:
        """The family as of now, zombies included."""
        with self._lock:
            everyone = [process for process in psutil.process_iter() if process.pid != os.getpid()]
            children = defaultdict(list)
            for process in everyone:
                with contextlib.suppress(psutil.Error):
                    children[process.ppid()].append(process)
            found: set[psutil.Process] = set()
            pending = [process for process in everyone if self._is_member(process)]
            while pending:
                process = pending.pop()
                if process not in found:
                    found.add(process)
                    pending += children[process.pid]
            self._known = found
            self._sessions |= {session for process in found if (session := _session_of(process))}
            return found

    def _is_member(self, process: psutil.Process) -> bool:
        try:
            if process in self._known and process.is_running():
                return True
            return _session_of(process) in self._sessions or process.environ().get(MARK_VARIABLE) == self._mark
        except (psutil.Error, OSError):
            return False


def _session_of(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except OSError:
        return None


def _left(process: psutil.Process) -> bool:
    """Whether it is outside of the chute's own session, as everything is that the service started."""
    return _session_of(process) != os.getsid(0)


def _is_zombie(process: psutil.Process) -> bool:
    """Whether it has ended already."""
    try:
        return bool(process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD))
    except psutil.Error:
        return True
