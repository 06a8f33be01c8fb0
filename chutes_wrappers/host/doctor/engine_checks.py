"""What may be wrong with Docker here."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine, connect
from chutes_wrappers.host.doctor.finding import Finding, Severity

_LEAST_FREE_BYTES = 10 * 1024**3
_GB = 1024**3
_TIMEOUT_S = 30


def reached(stack: contextlib.ExitStack) -> DockerEngine | WrapperError:
    """The engine, which is let go of when ``stack`` ends, or why there is none; nothing on it is changed."""
    try:
        return stack.enter_context(contextlib.closing(connect(timeout_s=_TIMEOUT_S, cleans=False)))
    except WrapperError as unavailable:
        return unavailable


def engine_findings(engine: DockerEngine | WrapperError) -> Iterator[Finding]:
    """About Docker's command, and about the engine that was reached, or was not."""
    if shutil.which("docker") is None:
        fix = "install Docker's command line; --build --local needs it"
        yield _finding("command", "warning", "no docker command on PATH", fix)
    if isinstance(engine, WrapperError):
        evidence = f" ({engine.evidence})" if engine.evidence else ""
        fix = f"{engine.next_step}; not needed to deploy what is discovered already"
        yield _finding("engine", "warning", f"{engine.what}{evidence}", fix)
        return
    told = engine.info()
    yield _finding("engine", "ok", f"{told.get('ServerVersion')} on {told.get('OperatingSystem')}")
    machine = str(told.get("Architecture"))
    if machine not in ("x86_64", "amd64"):
        fix = "builds are emulated and slow: build on the platform (--build without --local), or on an amd64 machine"
        yield _finding("architecture", "warning", machine, fix)
    if "nvidia" not in (told.get("Runtimes") or {}):
        fix = "install the NVIDIA Container Toolkit to run GPU images here; others run without"
        yield _finding("GPU runtime", "note", "none", fix)
    folder = str(told.get("DockerRootDir") or "")
    if engine.is_local and os.path.isdir(folder):
        yield _disk_space(folder)


def _disk_space(folder: str) -> Finding:
    free = shutil.disk_usage(folder).free
    if free >= _LEAST_FREE_BYTES:
        return _finding("disk space", "ok", f"{free / _GB:.0f} GB free")
    fix = "free some, for instance with `docker system prune`: a wrapped image takes its base and about 1 GB"
    return _finding("disk space", "warning", f"{free / _GB:.1f} GB free in {folder}", fix)


def _finding(name: str, severity: Severity, found: str, fix: str = "") -> Finding:
    return Finding(group="docker", name=name, severity=severity, found=found, fix=fix)
