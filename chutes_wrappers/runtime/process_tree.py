"""The processes that descend from one service, also those that left its session."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import defaultdict

import psutil

# Unique for each service, so that descendants can be identified after they left the process tree.
TREE_ID_VARIABLE = "CHUTES_WRAPPERS_SERVICE"
_POLL_S = 0.05


class ProcessTree:
    """The descendants of a process that leads its own session and has ``tree_id`` in its environment.

    Members are found by session, by ancestry and by the id. They are remembered, since each of these can change: by
    setsid, by the end of a parent, or by a program that overwrites its environment.
    """

    def __init__(self, tree_id: str) -> None:
        self._tree_id = tree_id
        self._root_pid: int | None = None
        self._known: set[psutil.Process] = set()
        self._dead: set[psutil.Process] = set()
        self._sessions: set[int] = set()
        # Re-entrant, because the handler of SIGTERM may interrupt the main thread in here.
        self._lock = threading.RLock()

    def set_root(self, pid: int) -> None:
        """Set the first member. Its exit status is left to the caller, which must wait for it."""
        self._root_pid = pid
        self._sessions.add(pid)

    def find_members(self) -> list[psutil.Process]:
        """Return the members that are alive."""
        return [process for process in self._scan() if not _is_zombie(process)]

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to every member."""
        for process in self.find_members():
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)

    def wait_until_gone(self, timeout_s: float, *, kill: bool = False) -> bool:
        """Return whether no member is left after at most ``timeout_s`` seconds; with ``kill`` SIGKILL is sent at each poll."""
        deadline = time.monotonic() + timeout_s
        while self.find_members():
            if (left_s := deadline - time.monotonic()) <= 0:
                return False
            if kill:
                self.send_signal(signal.SIGKILL)
            self.reap_orphans()
            time.sleep(min(_POLL_S, left_s))
        return True

    def reap_orphans(self) -> None:
        """Reap dead members that PID 1 inherited, if this process is PID 1: no other process waits for them."""
        if os.getpid() != 1:
            return
        tree_members = self._scan()
        dead = {process for process in psutil.process_iter() if self._is_dead_orphan(process)}
        # One that was never seen alive may be a child of the chute: it is reaped only if it was dead at the previous call too.
        for process in dead & (tree_members | self._dead):
            with contextlib.suppress(OSError):
                os.waitpid(process.pid, os.WNOHANG)
        self._dead = dead

    def _is_dead_orphan(self, process: psutil.Process) -> bool:
        try:
            return (
                process.pid != self._root_pid
                and process.ppid() == 1
                and _is_zombie(process)
                and _is_outside_session(process)
            )
        except psutil.Error:
            return False

    def _scan(self) -> set[psutil.Process]:
        """Return the current members, including zombies."""
        with self._lock:
            processes = [process for process in psutil.process_iter() if process.pid != os.getpid()]
            children = defaultdict(list)
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    children[process.ppid()].append(process)
            members: set[psutil.Process] = set()
            pending = [process for process in processes if self._is_member(process)]
            while pending:
                process = pending.pop()
                if process not in members:
                    members.add(process)
                    pending += children[process.pid]
            self._known = members
            self._sessions |= {session for process in members if (session := _get_session(process))}
            return members

    def _is_member(self, process: psutil.Process) -> bool:
        try:
            if process in self._known and process.is_running():
                return True
            return _get_session(process) in self._sessions or process.environ().get(TREE_ID_VARIABLE) == self._tree_id
        except (psutil.Error, OSError):
            return False


def _get_session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except OSError:
        return None


def _is_outside_session(process: psutil.Process) -> bool:
    """Return whether it is outside the chute's own session, like everything that the service started."""
    return _get_session(process) != os.getsid(0)


def _is_zombie(process: psutil.Process) -> bool:
    """Return whether it has ended already."""
    try:
        return bool(process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD))
    except psutil.Error:
        return True
