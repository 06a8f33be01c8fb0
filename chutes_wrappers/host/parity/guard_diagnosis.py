"""Diagnosis of a service that fails under the platform's guard library (PLATFORM.md, section 1). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from chutes_wrappers.core import platform_rules
from chutes_wrappers.host.parity.log_diagnosis import Diagnosis

_NOT_LOADED = re.compile(rf"ld\.so: object '{re.escape(platform_rules.GUARD_LIBRARY)}'.* cannot be preloaded")
_START_BY_FORK = (
    "start children by os.fork, os.posix_spawn or os.system, or with asyncio's loop instead of uvloop's. "
    "In Python, set subprocess._USE_VFORK = False, and remove the options -I, -E and -S"
)
# The first that matches any line is the cause: a child that died shows in other lines too.
_CAUSES = (
    (
        re.compile(r"Fatal Python error: Segmentation fault"),
        "a Python of the service has faulthandler enabled, and the library ends it",
        "remove -X faulthandler and -X dev from its command, and PYTHONFAULTHANDLER from its start script",
    ),
    (
        re.compile(r"Child process \[\d+\] died|Waiting for child process"),
        "uvicorn's workers end before they start, because it starts them by spawn",
        "start one worker (--workers 1, WEB_CONCURRENCY=1), or start the workers with gunicorn, which forks",
    ),
    (
        re.compile(r"resource_tracker: process died|BrokenProcessPool|multiprocessing[./](spawn|forkserver|popen_)"),
        "processes of multiprocessing end before they start, because it starts them by spawn",
        'use multiprocessing.get_context("fork"), or threads',
    ),
    (
        re.compile(r"(?i)SIGSEGV|segmentation fault|signal 11\b|\bexit(ed)?( with)?( non-zero)?( exit)? ?(code|status):? (-11|139)\b|\bcode -11\b"),
        "a child process ended with SIGSEGV before it ran: it was started by vfork",
        _START_BY_FORK,
    ),
)  # fmt: skip


def is_guard_missing(lines: Iterable[str]) -> bool:
    """Return whether the log shows that the image has no usable guard library, so that the run measured nothing."""
    return any(_NOT_LOADED.search(line) for line in lines)


def diagnose_guard(lines: Iterable[str]) -> Diagnosis | None:
    """Return why the library ended the service or its children; None when the log does not show it."""
    all_lines = list(lines)
    for pattern, reason, fix in _CAUSES:
        if line := next((line for line in all_lines if pattern.search(line)), None):
            return Diagnosis(reason=reason, line=line.strip()[:300], fix=fix)
    return None
