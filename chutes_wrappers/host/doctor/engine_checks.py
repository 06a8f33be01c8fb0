"""Checks of Docker on this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine, connect
from chutes_wrappers.host.doctor.finding import Finding, Severity

_MINIMUM_FREE_BYTES = 10 * 1024**3
_GB = 1024**3
_TIMEOUT_S = 30


def connect_engine(stack: contextlib.ExitStack) -> DockerEngine | WrapperError:
    """Connect to the engine until ``stack`` ends, or return the error. Nothing on the engine is changed."""
    try:
        return stack.enter_context(contextlib.closing(connect(timeout_s=_TIMEOUT_S, has_cleanup=False)))
    except WrapperError as error:
        return error


def check_engine(engine: DockerEngine | WrapperError) -> Iterator[Finding]:
    """Check Docker's command and the engine; an error in its place is reported."""
    if shutil.which("docker") is None:
        fix = "install Docker's command line; --build --local needs it"
        yield _make_finding("command", "warning", "no docker command on PATH", fix)
    if isinstance(engine, WrapperError):
        evidence = f" ({engine.evidence})" if engine.evidence else ""
        fix = f"{engine.next_step}; not needed to deploy modules that are discovered already"
        yield _make_finding("engine", "warning", f"{engine.what}{evidence}", fix)
        return
    info = engine.info()
    yield _make_finding("engine", "ok", f"{info.get('ServerVersion')} on {info.get('OperatingSystem')}")
    architecture = str(info.get("Architecture"))
    if architecture not in ("x86_64", "amd64"):
        fix = (
            "build on the platform (--build without --local), or on an amd64 machine: builds here are emulated and slow"
        )
        yield _make_finding("architecture", "warning", architecture, fix)
    if "nvidia" not in (info.get("Runtimes") or {}):
        fix = "install the NVIDIA Container Toolkit to run GPU images here; other images do not need it"
        yield _make_finding("GPU runtime", "note", "none", fix)
    folder = str(info.get("DockerRootDir") or "")
    if engine.is_local and os.path.isdir(folder):
        yield _check_disk_space(folder)


def _check_disk_space(folder: str) -> Finding:
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes >= _MINIMUM_FREE_BYTES:
        return _make_finding("disk space", "ok", f"{free_bytes / _GB:.0f} GB free")
    fix = "free some space, for example with `docker system prune`: a wrapped image needs its base image and about 1 GB"
    return _make_finding("disk space", "warning", f"{free_bytes / _GB:.1f} GB free in {folder}", fix)


def _make_finding(name: str, severity: Severity, message: str, fix: str = "") -> Finding:
    return Finding(group="docker", name=name, severity=severity, found=message, fix=fix)
