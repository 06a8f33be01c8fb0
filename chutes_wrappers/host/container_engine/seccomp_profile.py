"""The seccomp profile of an instance's container: what Docker's own profile refuses, and what the platform's sandbox does. Pure.

A container has one profile, and the engine's API does not return its default. So this one allows everything except for
what Docker's documentation lists as refused, and ``platform_rules.REFUSED_SYSTEM_CALLS``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from chutes_wrappers.core import platform_rules

_EPERM, _ENOSYS = 1, 38
# docs.docker.com/engine/security/seccomp, and what moby's profiles/seccomp/default.json allows only with a capability.
_REFUSED_BY_DOCKER = (
    "acct", "add_key", "clock_adjtime", "clock_adjtime64", "clock_settime", "clock_settime64", "create_module",
    "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "get_kernel_syms", "get_mempolicy", "ioperm", "iopl", "kcmp",
    "kexec_file_load", "kexec_load", "lookup_dcookie", "mbind", "migrate_pages", "mount_setattr", "move_mount", "move_pages",
    "name_to_handle_at", "nfsservctl", "open_by_handle_at", "open_tree", "open_tree_attr", "pidfd_getfd", "process_madvise",
    "query_module", "quotactl", "quotactl_fd", "reboot", "request_key", "set_mempolicy", "set_mempolicy_home_node", "setdomainname", "sethostname",
    "setns", "settimeofday", "stime", "swapoff", "swapon", "sysfs", "_sysctl", "syslog", "unshare", "uselib", "ustat",
    "vhangup", "vm86", "vm86old",
)  # fmt: skip
# linux/sched.h: each makes a new namespace, as unshare does.
_NAMESPACE_FLAGS = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
_AF_VSOCK = 40
# The values of ``personality`` that Docker's profile allows: these flags, or the question for the present value.
_PERSONALITY_FLAGS = (0x0008, 0x20000)
_TOP_BIT = 0x80000000


def build_seccomp_profile() -> str:
    """Return the profile as the JSON that Docker's ``security_opt`` takes."""
    refused = sorted({*_REFUSED_BY_DOCKER, *platform_rules.REFUSED_SYSTEM_CALLS})
    rules = [
        _refuse(refused),
        # Its flags are in memory, where seccomp cannot read them. Without it, C libraries use clone.
        _refuse(["clone3"], error=_ENOSYS),
        *(_refuse(["clone"], _match_bits(flag, flag)) for flag in _NAMESPACE_FLAGS),
        *(_refuse(["personality"], condition) for condition in _list_personality_conditions()),
        _refuse(["socket"], {"index": 0, "value": _AF_VSOCK, "op": "SCMP_CMP_EQ"}),
    ]  # fmt: skip
    architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    return json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "architectures": architectures, "syscalls": rules})


def _list_personality_conditions() -> Iterator[dict[str, Any]]:
    """Yield the conditions of which one is true for each value that Docker's profile refuses.

    All bits of the question are set. So another flag is refused if the top bit is not set, and the top bit if any other is not.
    """
    for bit in (1 << position for position in range(31)):
        if bit not in _PERSONALITY_FLAGS:
            yield _match_bits(bit | _TOP_BIT, bit)
        yield _match_bits(bit | _TOP_BIT, _TOP_BIT)


def _match_bits(mask: int, bits: int) -> dict[str, Any]:
    """Return the condition that ``bits`` are those of the first argument that are in ``mask``."""
    return {"index": 0, "value": mask, "valueTwo": bits, "op": "SCMP_CMP_MASKED_EQ"}


def _refuse(names: list[str], *conditions: dict[str, Any], error: int = _EPERM) -> dict[str, Any]:
    return {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": error, "args": list(conditions)}
