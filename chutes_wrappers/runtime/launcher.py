"""The wrapped service as a child process: the platform replaces an image's ENTRYPOINT, so the chute starts it."""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from types import FrameType

import psutil
from loguru import logger

from chutes_wrappers.core.errors import ServiceFailed
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.layout import RECIPE_VARIABLES

# Marks every descendant, also those that leave the process tree and the session.
FAMILY_VARIABLE = "CHUTES_WRAPPERS_SERVICE"
_TAIL_LINES = 50
_LONGEST_LINE = 8192
_REAP_EVERY_S = 1.0
_DRAIN_S = 0.5
_GRACE_S = 10.0


def service_argv(spec: LaunchSpec, entrypoint: str | Sequence[str] | None = None) -> tuple[str, ...]:
    """The command line to start: the image's, or ``entrypoint`` as Docker takes one (a string is for the shell, no CMD)."""
    if not entrypoint:
        return spec.argv
    return ("/bin/sh", "-c", entrypoint) if isinstance(entrypoint, str) else tuple(entrypoint)


def service_environment(
    spec: LaunchSpec,
    instance: Mapping[str, str],
    module: Mapping[str, str],
    kept: Iterable[str] = (),
) -> dict[str, str]:
    """The service's environment: what the base image sets over what the instance was given, without our recipe's part.

    ``module`` (CHUTE_ENV) beats both; of the names in ``kept`` (set in the image by the module) the instance's value stays.
    """
    image = {"HOME": spec.home, **spec.environment}
    ours = {name: value for name, value in instance.items() if name not in RECIPE_VARIABLES}
    own = {name: ours[name] for name in kept if name in ours}
    return {**ours, **image, **own, **{name: str(value) for name, value in module.items()}}


class ManagedProcess:
    """One child with its children: its output goes to the chute's log, line by line, until all of them are gone.

    A context manager; ``start`` raises ServiceFailed when the command cannot be run at all.
    """

    def __init__(self, argv: Sequence[str], *, environment: Mapping[str, str], directory: str) -> None:
        self.argv = tuple(argv)
        self._mark = secrets.token_hex(8)
        self._environment = {**environment, FAMILY_VARIABLE: self._mark}
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._known: set[int] = set()
        self._stopping = threading.Event()
        self._pump: threading.Thread | None = None

    def __enter__(self) -> ManagedProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    def start(self) -> None:
        """Start the command; its name is looked up on its own PATH."""
        logger.info(f"starting the service: {self.argv[0]} ({len(self.argv) - 1} arguments) in {self._directory}")
        try:
            self._process = subprocess.Popen(
                self.argv,
                env=self._environment,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ServiceFailed(
                f"the service cannot be started: {error.strerror}",
                where=str(error.filename or self.argv[0]),
                next_step=_how_to_start(error, self._directory),
            ) from error
        self._pump = threading.Thread(target=self._pump_output, args=(self._process,), daemon=True)
        self._pump.start()
        threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()

    @property
    def exit_code(self) -> int | None:
        """None while it runs (or was never started); negative for the signal that ended it."""
        return self._process.poll() if self._process is not None else None

    @property
    def tail(self) -> str:
        """The last 50 lines that it printed."""
        return "\n".join(self._tail)

    def failure(self) -> ServiceFailed:
        """The error that says how it ended."""
        if self._pump is not None:
            self._pump.join(_DRAIN_S)
        code = self.exit_code
        how = f"exit code {code}" if code is None or code >= 0 else f"signal {signal.Signals(-code).name}"
        return ServiceFailed(
            f"the service ended with {how}",
            where=self.argv[0],
            evidence=self.tail,
            next_step="correct what its last lines name; on an instance it runs as uid 1000, not as root",
        )

    def family(self) -> list[psutil.Process]:
        """Every living process that it started, wherever it went."""
        if self._process is None:
            return []
        return [process for process in psutil.process_iter() if self._belongs(process)]

    def terminate(self, grace_s: float = _GRACE_S) -> None:
        """SIGTERM to all of the family, SIGKILL for what is left after ``grace_s`` seconds; returns when they are gone."""
        self._stopping.set()
        for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, grace_s)):
            family = self.family()
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
            if not psutil.wait_procs(family, timeout=patience_s)[1]:
                break
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)

    def _belongs(self, process: psutil.Process) -> bool:
        assert self._process is not None
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return (
                process.pid in self._known
                or os.getsid(process.pid) == self._process.pid
                or process.environ().get(FAMILY_VARIABLE) == self._mark
            )
        except (psutil.Error, OSError):
            return False

    def _pump_output(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        # A line longer than the bound comes in pieces: no memory grows with what a service prints.
        while raw := process.stdout.readline(_LONGEST_LINE):
            line = raw.decode("utf-8", errors="replace").rstrip("\r\n")
            self._tail.append(line)
            logger.info("[service] {}", line)

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        while True:
            try:
                process.wait(_REAP_EVERY_S)
                break
            except subprocess.TimeoutExpired:
                self._reap_orphans(process.pid)
        if not self._stopping.is_set():
            logger.error(str(self.failure()))

    def _reap_orphans(self, own_pid: int) -> None:
        """As PID 1 we inherit the service's orphans: nobody else waits for them."""
        if os.getpid() != 1:
            return
        self._known = {process.pid for process in self.family()} | {
            pid for pid in self._known if psutil.pid_exists(pid)
        }
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.Error, OSError):
                if child.pid in self._known - {own_pid} and child.status() == psutil.STATUS_ZOMBIE:
                    os.waitpid(child.pid, os.WNOHANG)


def _how_to_start(error: OSError, directory: str) -> str:
    if error.filename == directory:
        return "the image's working directory must be there and open to uid 1000: see writable_paths="
    if isinstance(error, PermissionError):
        return "an instance runs as uid 1000: let everybody read and execute the command, or set ENTRYPOINT"
    return "check ENTRYPOINT, and that discovery looked at the image that is wrapped"


_running: list[ManagedProcess] = []


def start_once(process: ManagedProcess) -> ManagedProcess:
    """Start ``process``, unless the same command already runs for this chute; returns the one that runs.

    Whatever ends the chute (its normal end, SIGTERM, Ctrl-C) ends the service before.
    """
    for other in _running:
        if other.argv == process.argv and other.exit_code is None:
            return other
    if not _running:
        atexit.register(stop_all)
        _install_sigterm_handler()
    process.start()
    _running.append(process)
    return process


def stop_all() -> None:
    """Terminate every service that this chute started."""
    while _running:
        _running.pop().terminate()


def _install_sigterm_handler() -> None:
    # The SDK installs none, and the kernel drops a signal for PID 1 that has no handler (PLATFORM.md, section 1).
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    logger.info("SIGTERM: stopping the service")
    stop_all()
    logger.complete()
    sys.stdout.flush()
    sys.stderr.flush()
    # The SDK answers SystemExit with minutes of waiting (entrypoint/run.py, _logged_run).
    os._exit(128 + number)
