"""The seccomp profile of an instance's container: what Docker's own profile refuses, and what the platform's sandbox does. Pure.

A container has one profile, and the engine's API does not return its default. So this one allows everything except for
what Docker's documentation lists as refused, and ``platform_rules.REFUSED_SYSTEM_CALLS``.
"""

from __future__ import annotations

import json
from typing import Any

from chutes_wrappers.core import platform_rules

_EPERM, _ENOSYS = 1, 38
# docs.docker.com/engine/security/seccomp, and what moby's profiles/seccomp/default.json allows only with a capability.
_REFUSED_BY_DOCKER = (
    "acct", "add_key", "clock_adjtime", "clock_adjtime64", "clock_settime", "clock_settime64", "create_module",
    "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "get_kernel_syms", "get_mempolicy", "ioperm", "iopl", "kcmp",
    "kexec_file_load", "kexec_load", "lookup_dcookie", "mbind", "migrate_pages", "mount_setattr", "move_mount", "move_pages",
    "nfsservctl", "open_by_handle_at", "open_tree", "pidfd_getfd", "process_madvise", "query_module", "quotactl",
    "quotactl_fd", "reboot", "request_key", "set_mempolicy", "set_mempolicy_home_node", "setdomainname", "sethostname",
    "setns", "settimeofday", "stime", "swapoff", "swapon", "sysfs", "_sysctl", "syslog", "unshare", "uselib", "ustat",
    "vhangup", "vm86", "vm86old",
)  # fmt: skip
# linux/sched.h: each makes a new namespace, as unshare does.
_NAMESPACE_FLAGS = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
_AF_VSOCK = 40


def build_seccomp_profile() -> str:
    """Return the profile as the JSON that Docker's ``security_opt`` takes."""
    refused = sorted({*_REFUSED_BY_DOCKER, *platform_rules.REFUSED_SYSTEM_CALLS})
    rules = [
        _refuse(refused),
        # Its flags are in memory, where seccomp cannot read them. Without it, C libraries use clone.
        _refuse(["clone3"], error=_ENOSYS),
        *(_refuse(["clone"], {"index": 0, "value": flag, "valueTwo": flag, "op": "SCMP_CMP_MASKED_EQ"})
          for flag in _NAMESPACE_FLAGS),
        _refuse(["socket"], {"index": 0, "value": _AF_VSOCK, "op": "SCMP_CMP_EQ"}),
    ]  # fmt: skip
    architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    return json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "architectures": architectures, "syscalls": rules})


def _refuse(names: list[str], *conditions: dict[str, Any], error: int = _EPERM) -> dict[str, Any]:
    return {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": error, "args": list(conditions)}
