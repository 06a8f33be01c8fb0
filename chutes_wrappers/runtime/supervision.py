"""The services of this chute: each is started once, and none outlives the chute."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from types import FrameType

from chutes_wrappers.runtime.launcher import STOP_TIMEOUT_S, ManagedProcess

_launched: dict[tuple[str, ...], ManagedProcess] = {}
_lock = threading.Lock()
_owner: int | None = None


def start_once(process: ManagedProcess) -> ManagedProcess:
    """Start ``process`` unless this chute started the same command before; return the one that was started.

    When the chute ends (normally, by SIGTERM or Ctrl-C), the service is stopped first. Raises ServiceFailed.
    """
    global _owner
    with _lock:
        if process.argv in _launched:
            return _launched[process.argv]
        if _owner != os.getpid():
            _owner = os.getpid()
            atexit.register(stop_all)
        _install_sigterm_handler()
        _launched[process.argv] = process
        try:
            process.start()
        except BaseException:
            del _launched[process.argv]
            raise
        return process


def get_services() -> tuple[ManagedProcess, ...]:
    """Return every service that this chute started, also one that has ended."""
    return tuple(_launched.values())


def stop_all(timeout_s: float = STOP_TIMEOUT_S) -> None:
    """Terminate every service that this chute started, all within the same ``timeout_s`` seconds."""
    # No lock: the SIGTERM handler may have interrupted the code that holds it.
    if _owner != os.getpid():
        return
    deadline = time.monotonic() + timeout_s
    for process in get_services():
        process.request_stop()
    for process in get_services():
        process.terminate(max(0.0, deadline - time.monotonic()))
    _launched.clear()


def _install_sigterm_handler() -> None:
    # The SDK installs none, and the kernel drops a signal for PID 1 that has no handler (PLATFORM.md, section 1).
    if threading.current_thread() is threading.main_thread() and _is_replaceable(signal.getsignal(signal.SIGTERM)):
        signal.signal(signal.SIGTERM, _on_sigterm)


def _is_replaceable(handler: object) -> bool:
    """Return whether ``handler`` is the default, or uvicorn's, which the attestation server of every TEE chute installs.

    Uvicorn's handler ends only its own server, then raises the signal again for the default (SDK entrypoint/verify.py).
    """
    owner = getattr(handler, "__self__", None)
    return handler is signal.SIG_DFL or type(owner).__module__ == "uvicorn.server"


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    if os.getpid() != _owner:
        # A fork of the chute, for instance a multiprocessing worker: it does not own the services.
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
    signal.signal(number, signal.SIG_IGN)
    # Not logged: the main thread may have been interrupted while it holds the logger's lock.
    with contextlib.suppress(OSError):
        os.write(2, b"SIGTERM: stopping the service\n")
    try:
        stop_all(STOP_TIMEOUT_S)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, RuntimeError, ValueError):
                stream.flush()
    finally:
        # Not SystemExit, which the SDK's event loop and thread pools may delay without a limit.
        os._exit(128 + number)
