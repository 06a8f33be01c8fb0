"""The wrapped service as a child process: the platform replaces an image's ENTRYPOINT, so the chute starts it."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil
from loguru import logger

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ServiceFailed
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.layout import RECIPE_VARIABLES
from chutes_wrappers.runtime.process_tree import TREE_ID_VARIABLE, ProcessTree

# Less than the default timeout of `docker stop`, ten seconds.
STOP_TIMEOUT_S = 5.0
# Docker's default for an image that sets no PATH.
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PLATFORM_VARIABLES = ("CUDA_VISIBLE_DEVICES", *platform_rules.HOST_VARIABLES)
_PLATFORM_PREFIXES = ("NVIDIA_", *platform_rules.HOST_VARIABLE_PREFIXES)
# Its sitecustomize lets each Python of the service start children under the guard library.
SERVICE_PYTHON_FOLDER = Path(__file__).with_name("service_python")
_PRELOAD = "LD_PRELOAD"
_TAIL_LINES = 50
_MAX_LINE_LENGTH = 4096
_TRACK_INTERVAL_S = 1.0
_OUTPUT_TIMEOUT_S = 0.5


def build_service_argv(spec: LaunchSpec, entrypoint: str | Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the command line to start: the image's, or ``entrypoint`` as in Docker (a string is for the shell, without CMD)."""
    if not entrypoint:
        return spec.argv
    return ("/bin/sh", "-c", entrypoint) if isinstance(entrypoint, str) else tuple(entrypoint)


def build_service_environment(
    spec: LaunchSpec,
    instance: Mapping[str, str],
    module: Mapping[str, str],
    kept_names: Iterable[str] = (),
) -> dict[str, str]:
    """Return the service's environment: the base image's variables override the instance's, without those of our recipe.

    ``module`` (CHUTE_ENV) overrides both. The instance's value is kept for the names in ``kept_names``, which the module
    set in the image. It is also kept for the variables of the platform's host (PLATFORM.md, section 1), and if the image has
    only an empty placeholder. LD_PRELOAD is the instance's, which has the guard library, without the image's, which the
    platform removes; the module's libraries come after it. Variables that enable Python's faulthandler are always removed: the
    guard library crashes such a Python.
    """
    kept_names = frozenset(kept_names)
    image = {"HOME": spec.home, "PATH": _DEFAULT_PATH, **spec.environment}
    instance_values = {name: value for name, value in instance.items() if name not in RECIPE_VARIABLES}
    overrides = {
        name: value
        for name, value in instance_values.items()
        if name in kept_names or _is_platform_value(name, value, image)
    }
    merged = {**instance_values, **image, **overrides, **{name: str(value) for name, value in module.items()}}
    merged[_PRELOAD] = _join_preloads(
        *(str(variables.get(_PRELOAD, "")) for variables in (instance, spec.environment, module))
    )
    return {
        name: value
        for name, value in merged.items()
        if name not in platform_rules.FAULTHANDLER_VARIABLES and (value or name != _PRELOAD)
    }


def _join_preloads(instance: str, image: str, module: str) -> str:
    """Return the libraries of an LD_PRELOAD: the instance's without the image's, then the module's."""
    removed = split_preloads(image)
    libraries = [library for library in split_preloads(instance) if library not in removed]
    return ":".join(dict.fromkeys((*libraries, *split_preloads(module))))


def split_preloads(value: str) -> list[str]:
    """Return the libraries of an LD_PRELOAD, which spaces or colons separate (ld.so(8))."""
    return value.replace(":", " ").split()


def _is_platform_value(name: str, value: str, image: Mapping[str, str]) -> bool:
    is_placeholder = bool(value) and image.get(name) == ""
    return is_placeholder or name in _PLATFORM_VARIABLES or name.startswith(_PLATFORM_PREFIXES)


class ManagedProcess:
    """One child process with its descendants. Their output is logged line by line, until all of them have ended.

    A context manager; ``start`` raises ServiceFailed if the command cannot be run at all. Its end is logged as an error,
    unless it was terminated or ``suppress_exit_log`` is active.
    """

    def __init__(self, argv: Sequence[str], *, environment: Mapping[str, str], directory: str) -> None:
        tree_id = secrets.token_hex(8)
        self.argv = tuple(argv)
        self._environment = {**_add_python_folder(environment), TREE_ID_VARIABLE: tree_id}
        self._directory = directory
        self._tree = ProcessTree(tree_id)
        self._process: subprocess.Popen[bytes] | None = None
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._is_exit_log_suppressed = False
        self._stopping = threading.Event()
        self._has_ended = threading.Event()
        self._output_thread: threading.Thread | None = None

    def __enter__(self) -> ManagedProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    def start(self) -> None:
        """Start the command; it is looked up on the PATH of its own environment. Raises ServiceFailed."""
        logger.info(f"starting the service: {self.argv[0]} ({len(self.argv) - 1} arguments) in {self._directory}")
        _avoid_vfork()
        try:
            self._process = process = subprocess.Popen(
                self.argv,
                env=self._environment,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise _make_start_error(error, self.argv[0], self._directory) from error
        self._tree.set_root(process.pid)
        self._output_thread = threading.Thread(target=self._forward_output, args=(process,), daemon=True)
        self._output_thread.start()
        threading.Thread(target=self._watch, args=(process,), daemon=True).start()
        threading.Thread(target=self._track, daemon=True).start()

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while it runs (or was never started), negative for the signal that ended it."""
        return self._process.returncode if self._process is not None and self._has_ended.is_set() else None

    @property
    def has_failed(self) -> bool:
        """Whether it has ended, and did not just move its work to the background."""
        code = self.exit_code
        return code is not None and (code != 0 or not self.find_processes())

    @property
    def tail(self) -> str:
        """The last 50 lines that it printed."""
        return "\n".join(self._tail)

    def make_failure(self) -> ServiceFailed:
        """Return the error that describes how it ended."""
        self._wait_for_output()
        return ServiceFailed(
            f"the service ended with {_describe_exit(self.exit_code)}",
            where=self.argv[0],
            evidence=self.tail or "(it printed nothing)",
            next_step="fix what its last lines report; on an instance it runs as uid 1000, not as root",
        )

    def find_processes(self) -> list[psutil.Process]:
        """Return every living process that it started, directly or not, and itself."""
        return self._tree.find_members()

    @contextlib.contextmanager
    def suppress_exit_log(self) -> Iterator[None]:
        """Do not log its end in this context: the caller waits for the service, and reports it."""
        self._is_exit_log_suppressed = True
        try:
            yield
        finally:
            self._is_exit_log_suppressed = False

    def request_stop(self) -> None:
        """Send SIGTERM to the process tree."""
        self._stopping.set()
        self._tree.send_signal(signal.SIGTERM)

    def terminate(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Send SIGTERM to the process tree, SIGKILL to what is left after ``timeout_s`` seconds; return when all have ended."""
        self.request_stop()
        if not self._tree.wait_until_gone(timeout_s):
            self._tree.wait_until_gone(STOP_TIMEOUT_S, kill=True)
        if self._process is not None:
            self._has_ended.wait(_OUTPUT_TIMEOUT_S)
        self._wait_for_output()

    def _wait_for_output(self) -> None:
        # Bounded: a descendant may keep the pipe open for as long as it lives.
        if self._output_thread is not None:
            self._output_thread.join(_OUTPUT_TIMEOUT_S)

    def _forward_output(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as pipe:
            # A longer line is split: memory does not grow with what a service prints.
            while raw := pipe.readline(_MAX_LINE_LENGTH):
                # For a progress bar, the last state that a terminal would show.
                line = raw.decode("utf-8", errors="replace").rstrip("\r\n").rsplit("\r", 1)[-1]
                self._tail.append(line)
                logger.info("[service] {}", line)

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        # Before the end is visible: whoever waits for it may leave ``suppress_exit_log`` then.
        is_logged = not (self._stopping.is_set() or self._is_exit_log_suppressed)
        self._has_ended.set()
        if is_logged:
            logger.error("{}", self.make_failure())

    def _track(self) -> None:
        """Find new descendants while their parents still live, and reap dead ones, until the last has ended."""
        while not self._stopping.wait(_TRACK_INTERVAL_S):
            self._tree.reap_orphans()
            if not self.find_processes() and self._has_ended.is_set():
                break


def _add_python_folder(environment: Mapping[str, str]) -> dict[str, str]:
    # An empty PYTHONPATH must not become an empty entry, which would be the working directory.
    folders = filter(None, (str(SERVICE_PYTHON_FOLDER), environment.get("PYTHONPATH")))
    return {**environment, "PYTHONPATH": ":".join(folders)}


def _avoid_vfork() -> None:
    """Make ``subprocess`` use fork in this process from now on: the guard library ends a child of vfork before its exec.

    It uses Python's own switch, which early versions of 3.10 lack; ``preexec_fn`` is unsafe with threads. PLATFORM.md,
    section 1.
    """
    if hasattr(subprocess, "_USE_VFORK"):
        subprocess._USE_VFORK = False


def _describe_exit(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def _make_start_error(error: OSError | ValueError, command: str, directory: str) -> ServiceFailed:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    where, next_step = command, "check ENTRYPOINT, CHUTE_ENV, and that discovery inspected the image that is wrapped"
    if isinstance(error, OSError) and error.filename == directory and not _is_usable(directory):
        where = directory
        next_step = "create the image's working directory, and make it accessible to uid 1000: see writable_paths="
    elif isinstance(error, PermissionError):
        reason += ": the base image runs it as root, an instance runs as uid 1000"
        next_step = "make it readable and executable for every user in the base image, or set ENTRYPOINT"
    elif isinstance(error, FileNotFoundError) and os.path.exists(command):
        reason += ": the file exists, but the interpreter in its first line does not"
    return ServiceFailed(f"the service cannot be started: {reason}", where=where, next_step=next_step)


def _is_usable(directory: str) -> bool:
    return os.path.isdir(directory) and os.access(directory, os.X_OK)
