from __future__ import annotations

import json

import pytest

from chutes_wrappers.core import platform_rules
from chutes_wrappers.host.container_engine.seccomp_profile import build_seccomp_profile

PROFILE = json.loads(build_seccomp_profile())


def find_errors(name: str) -> list[int]:
    return [rule["errnoRet"] for rule in PROFILE["syscalls"] if name in rule["names"]]


@pytest.mark.parametrize(
    "name",
    [
        *("mount", "umount2", "pivot_root", "chroot", "keyctl", "bpf", "init_module", "finit_module", "ptrace"),
        *("process_vm_readv", "process_vm_writev", "io_uring_setup", "userfaultfd", "perf_event_open"),
        # What Docker's own profile refuses stays refused.
        *("unshare", "setns", "add_key", "kexec_load", "open_by_handle_at", "reboot", "fsmount", "move_mount"),
    ],
)
def test_what_a_pod_refuses_fails_with_eperm(name: str) -> None:
    assert find_errors(name) == [1]


def test_what_services_need_is_allowed() -> None:
    assert PROFILE["defaultAction"] == "SCMP_ACT_ALLOW"
    names = {name for rule in PROFILE["syscalls"] if not rule["args"] for name in rule["names"]}
    assert not names & {"clone", "execve", "epoll_wait", "futex", "mlock", "socket", "statx", "vfork", "memfd_create"}
    assert names >= {*platform_rules.REFUSED_SYSTEM_CALLS}


def test_namespaces_cannot_be_made_through_clone() -> None:
    (first, *_), *others = [rule["args"] for rule in PROFILE["syscalls"] if rule["names"] == ["clone"]]
    assert len(others) == 6
    assert first["op"] == "SCMP_CMP_MASKED_EQ"
    assert find_errors("clone3") == [38]
