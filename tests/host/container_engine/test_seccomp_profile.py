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


@pytest.mark.parametrize("value", [0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF])
def test_a_personality_that_docker_allows_is_allowed(value: int) -> None:
    assert not is_refused("personality", value)


@pytest.mark.parametrize("value", [0x1, 0x40000, 0x400000, 0x40008, 0x80000000, 0x80400000, 0xFFFFFFFE, 0x7FFFFFFF])
def test_any_other_personality_is_refused(value: int) -> None:
    assert is_refused("personality", value)


def is_refused(name: str, argument: int) -> bool:
    conditions = [rule["args"][0] for rule in PROFILE["syscalls"] if rule["names"] == [name]]
    return any(argument & condition["value"] == condition["valueTwo"] for condition in conditions)
