"""Diagnosis of what a pod's sandbox refuses with EPERM, also to root (PLATFORM.md, section 1). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

# What the sandbox refuses → what to change. A program's message, or the line of its code, names it.
SANDBOX_FIXES = {
    "chroot": "turn its chroot off in its configuration, or start its worker directly with ENTRYPOINT",
    "pivot_root": "turn its container or sandbox off in its configuration",
    "mount": "put the files into the image, or write them to /tmp or /cache",
    "namespaces": "turn its own sandbox off (Chromium: --no-sandbox)",
    "ptrace": "start it without a debugger or tracer",
    "process_vm_readv": "turn its profiler or its shared memory copies off (Open MPI: --mca btl_vader_single_copy_mechanism none)",
    "io_uring": "configure it to use epoll or plain files (node: UV_USE_IO_URING=0)",
    "userfaultfd": "turn off what uses userfaultfd in its configuration",
    "perf_event_open": "turn its profiler off",
    "bpf": "turn its tracing off",
    "keyctl": "configure it to keep its keys in files or memory",
    "kernel modules": "configure it to run without kernel modules",
}
_SANDBOX_WORDS = (
    (r"chroot", "chroot"),
    (r"pivot_root", "pivot_root"),
    (r"u?mount2?|fusermount3?", "mount"),
    (r"unshare|setns|clone_new\w+|(user )?namespaces?|bwrap", "namespaces"),
    (r"ptrace|strace|gdb", "ptrace"),
    (r"process_vm_(?:read|write)v", "process_vm_readv"),
    (r"io_uring\w*|liburing", "io_uring"),
    (r"userfaultfd", "userfaultfd"),
    (r"perf_event_open|perf", "perf_event_open"),
    (r"bpf\w*|ebpf", "bpf"),
    (r"keyctl\w*|add_key|request_key", "keyctl"),
    (r"(?:f?init|delete)_module|modprobe|insmod|rmmod", "kernel modules"),
)
# A traceback shows the code up to so many lines above its error.
CODE_LINES = 3
_NOT_PERMITTED = re.compile(
    r"(?i)operation not permitted|\bEPERM\b|must be superuser|only root can|no permissions? to create new namespace"
)
_NEEDS_ROOT_WORDS = re.compile(r"(?i)\b(setuid|setgid|setgroups|initgroups|l?f?chown|sched_setaffinity|setpriority)\b")


def find_refused_call(line: str, previous: Iterable[str]) -> str | None:
    """Return the key of SANDBOX_FIXES that ``line`` reports as refused, or None.

    The line names it, or the code in the ``previous`` lines of a traceback.
    """
    if not _NOT_PERMITTED.search(line):
        return None
    refused = _find_word(line, r"\b(?:{})\b")
    if refused is not None or _NEEDS_ROOT_WORDS.search(line):
        return refused
    calls = (_find_word(code, r"\b(?:{})\(") for code in reversed([*previous]))
    return next((call for call in calls if call is not None), None)


def _find_word(text: str, form: str) -> str | None:
    """Return what is refused if ``text`` contains one of its words in the regular expression ``form``."""
    return next(
        (refused for words, refused in _SANDBOX_WORDS if re.search(form.format(words), text, re.IGNORECASE)), None
    )
