"""Log lines of real services, and their diagnoses."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.writable_paths import SYSTEM_FOLDERS, SYSTEM_TREES, find_writable_path_problem
from chutes_wrappers.host.parity.log_diagnosis import diagnose, diagnose_ports

LINES = [
    ("PermissionError: [Errno 13] Permission denied: '/data/state.db'", "/data/state.db is not writable", "'/data'"),
    ("OSError: [Errno 30] Read-only file system: '/models/x'", "/models/x is not writable", "'/models'"),
    (
        "mkdir: cannot create directory '/var/lib/app': Permission denied",
        "/var/lib/app is not writable",
        "'/var/lib/app'",
    ),
    (
        'nginx: [emerg] open() "/run/nginx.pid" failed (13: Permission denied)',
        "/run/nginx.pid is not writable",
        "'/run'",
    ),
    ("touch: /root/.cache/x: Permission denied", "/root/.cache/x is not writable", "'/root/.cache'"),
    ("mkdir: cannot create directory '/data': Permission denied", "/data is not writable", "'/data'"),
    ("mkdir: cannot create directory \u2018/data\u2019: Permission denied", "/data is not writable", "'/data'"),
    ("java.io.IOException: Unable to create directory /srv/state", "/srv/state is not writable", "'/srv/state'"),
    ("PermissionError: [Errno 13] Permission denied: '/data'", "/data is not writable", "'/data'"),
    ("PermissionError: [Errno 13] Permission denied: '/data/x/y'", "/data/x/y is not writable", "'/data/x'"),
    ("PermissionError: [Errno 13] Permission denied: '/etc/nginx/a.conf'", "is not writable", "'/etc/nginx'"),
    ("PermissionError: [Errno 13] Permission denied: '/root/.cache'", "/root/.cache is not writable", "'/root/.cache'"),
    ("This program must be run as root", "needs root", "ENTRYPOINT"),
    ("Error: you need to be root to start the daemon", "needs root", "ENTRYPOINT"),
    ("nginx: [emerg] setgid(101) failed (1: Operation not permitted)", "needs root", "ENTRYPOINT"),
    ("chown: changing ownership of '/data': Operation not permitted", "needs root", "ENTRYPOINT"),
    ("nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)", "port below 1024", "SERVICE_PORTS"),
    (
        "ERROR: [Errno 98] error while attempting to bind on address ('0.0.0.0', 8002): address already in use",
        "port 8002 belongs to the chute's attestation server",
        "SERVICE_PORTS",
    ),
    ("Error: listen EADDRINUSE: address already in use :::8000", "port 8000 belongs to the chute itself", "CHUTE_ENV"),
    ("socket.gaierror: [Errno -3] Temporary failure in name resolution", "the network", "allow_external_egress"),
    ("urllib3: Failed to establish: [Errno 101] Network is unreachable", "the network", "allow_external_egress"),
    ("curl: (6) Could not resolve host: huggingface.co", "the network", "allow_external_egress"),
    (
        "python3: can't open file '/srv/app/server.pyc': [Errno 2] No such file or directory",
        "/srv/app/server.pyc is not on the instance: the forge deletes every .pyc file",
        ".py file to the base image",
    ),
    (
        "FileNotFoundError: [Errno 2] No such file or directory: '/app/voices.json'",
        "/app/voices.json is not in the image",
        "image.add()",
    ),
    (
        "FileNotFoundError: [Errno 2] No such file or directory: 'voices.json'",
        "voices.json is not in the image",
        "image.add()",
    ),
    ("ModuleNotFoundError: No module named 'yaml'", "the Python package yaml", "pip install"),
    ("chroot: Operation not permitted", "sandbox refuses chroot, to root as well", "ENTRYPOINT"),
    ('chroot("/run/sshd"): Operation not permitted [preauth]', "sandbox refuses chroot", "turn its chroot off"),
    (
        "nginx: [emerg] chroot(/srv) failed (1: Operation not permitted)",
        "sandbox refuses chroot",
        "turn its chroot off",
    ),
    ("fatal: chroot(/var/spool/postfix): Operation not permitted", "sandbox refuses chroot", "turn its chroot off"),
    ("mount: /mnt: must be superuser to use mount.", "sandbox refuses mount", "/tmp or /cache"),
    ("fusermount3: mount failed: Operation not permitted", "sandbox refuses mount", "/tmp or /cache"),
    ("umount: /mnt: Operation not permitted", "sandbox refuses mount", "/tmp or /cache"),
    ("unshare: unshare failed: Operation not permitted", "sandbox refuses namespaces", "--no-sandbox"),
    ("bwrap: No permissions to create new namespace, likely because", "sandbox refuses namespaces", "--no-sandbox"),
    ("strace: ptrace(PTRACE_TRACEME, ...): Operation not permitted", "sandbox refuses ptrace", "debugger"),
    ("io_uring_setup() failed: Operation not permitted", "sandbox refuses io_uring", "epoll"),
    ("Error: io_uring_queue_init: EPERM", "sandbox refuses io_uring", "epoll"),
    ("process_vm_readv: Operation not permitted", "sandbox refuses process_vm_readv", "vader"),
    ("keyctl_read_alloc: Operation not permitted", "sandbox refuses keyctl", "files or memory"),
    ("libbpf: bpf(BPF_PROG_LOAD) failed: Operation not permitted", "sandbox refuses bpf", "tracing"),
    ("perf_event_open(...) failed: Operation not permitted", "sandbox refuses perf_event_open", "profiler"),
    ("userfaultfd: Operation not permitted", "sandbox refuses userfaultfd", "configuration"),
    (
        "modprobe: ERROR: could not insert 'nbd': Operation not permitted",
        "refuses kernel modules",
        "without kernel modules",
    ),
    (
        "PermissionError: [Errno 1] Operation not permitted: '/x'",
        "uid 1000, or the platform's sandbox",
        "chroot, mount",
    ),
    ("OSError: [Errno 98] Address already in use", "8000, 8001, 8002 belong to the chute", "SERVICE_PORTS"),
    ("bind: Address already in use", "8000, 8001, 8002 belong to the chute", "SERVICE_PORTS"),
    (
        "instance 1a of case: gone: evicted: it wrote 10.3 GiB to /tmp and its other folders, more than the 10 GiB of an instance",
        "evicted: it wrote 10.3 GiB outside of /cache, and a pod's limit is 10 GiB",
        "/cache",
    ),
    (
        "instance 1a of case: the readiness probe failed (1 in a row): no response within 1 s: code that holds",
        "the readiness probe failed",
        "another process",
    ),
    ("it ended by itself with exit code 137", "a check of the guard failed", "memory"),
    ("the service ended with signal SIGKILL", "more memory than there is", "memory"),
    ("FileExistsError: [Errno 17] File exists: '/cache/model'", "/cache/model is not empty", "rename it"),
    ("mkdir: cannot create directory '/cache/x': File exists", "/cache/x is not empty", "rename it"),
    ("OSError: [Errno 39] Directory not empty: '/cache/a' -> '/cache/b'", "/cache/a is not empty", "rename it"),
    (
        "fatal: destination path '/cache/repo' already exists and is not an empty directory.",
        "/cache/repo is not empty",
        "rename it",
    ),
    ("ServiceFailed: the service ended with exit code 3", "ended by itself", "7 failures in a row"),
]
HARMLESS = [
    "INFO: Application startup complete.",
    "uvicorn running on http://0.0.0.0:8020",
    "permissions are checked at every call",
    "GET /network 200",
    "the root path is /",
    "GET /chroot 200",
    "wrote 3 GiB to /cache",
    "/cache/model already loaded",
    "Operation not permitted for guests",
    "Error: listen EADDRINUSE: address already in use :::9090",
    "uvicorn running on http://0.0.0.0:8002",
    "",
]


@pytest.mark.parametrize(
    "path",
    [
        *("/etc", "/etc/passwd", "/etc/app.conf", "/root/app.db", "/usr/lib/app.log", "/usr/bin/app", "/proc/sys/vm/x"),
        *("//etc", "/srv/../etc", "/app.log", "/opt/chutes-wrappers/lib/x"),
    ],
)
def test_no_advice_makes_the_system_writable(path: str) -> None:
    for line in (f"PermissionError: [Errno 13] Permission denied: '{path}'", f"unable to create '{path}'"):
        (diagnosis,) = diagnose([line])
        assert "writable_paths" not in diagnosis.fix
        assert "/tmp or /cache" in diagnosis.fix


@given(st.sampled_from([*SYSTEM_FOLDERS, *SYSTEM_TREES]), st.sampled_from(["", "/", "/x", "/x.log", "/x/y", "/./"]))
def test_advised_paths_can_be_used(folder: str, rest: str) -> None:
    for line in (f"Permission denied: '{folder}{rest}'", f"mkdir: cannot create directory '{folder}{rest}'"):
        for diagnosis in diagnose([line]):
            if match := re.search(r"writable_paths=\('(.+?)',\)", diagnosis.fix):
                assert find_writable_path_problem(match[1]) is None


@pytest.mark.parametrize(("line", "reason", "fix"), LINES)
def test_a_log_line_gives_reason_and_fix(line: str, reason: str, fix: str) -> None:
    (diagnosis,) = diagnose([f"2026-11-23 | ERROR | {line}"])
    assert reason in diagnosis.reason
    assert fix in diagnosis.fix
    assert line in diagnosis.line


@pytest.mark.parametrize("line", HARMLESS)
def test_harmless_lines_are_ignored(line: str) -> None:
    assert diagnose([line]) == []


@pytest.mark.parametrize(
    ("call", "refused"),
    [
        ('os.chroot("/srv/jail")', "chroot"),
        ("libc.mount(b'none', b'/mnt')", "mount"),
        ("os.unshare(CLONE_NEWUSER)", "namespaces"),
    ],
)
def test_the_code_of_a_traceback_names_what_the_sandbox_refuses(call: str, refused: str) -> None:
    lines = [
        'File "/srv/service.py", line 3, in <module>',
        f"    {call}",
        "    ^^^^^^^^^^",
        "PermissionError: [Errno 1] Operation not permitted: '/srv/jail'",
    ]
    (diagnosis,) = diagnose([f"[service] {line}" for line in lines])
    assert diagnosis.reason == f"the platform's sandbox refuses {refused}, to root as well"
    assert diagnosis.line.endswith(lines[-1])


def test_a_change_of_the_user_below_a_chroot_still_needs_root() -> None:
    lines = ["using chroot(/srv)", "", "nginx: [emerg] setgid(101) failed (1: Operation not permitted)"]
    (diagnosis,) = diagnose(lines)
    assert "needs root" in diagnosis.reason


def test_the_cause_is_reported_without_what_only_follows_from_it() -> None:
    lines = ["the service ended with exit code 1", "OSError: [Errno 98] Address already in use ('', 8002)"]
    assert [diagnosis.line for diagnosis in diagnose(lines)] == lines[1:]
    assert len(diagnose(lines[:1])) == 1


def test_an_engine_that_stops_is_not_a_missing_file() -> None:
    lines = [
        "chutes-wrappers-1-ab: the Docker engine stopped responding",
        "('Connection aborted.', FileNotFoundError(2, 'No such file or directory'))",
    ]
    assert [diagnosis.fix for diagnosis in diagnose(lines)] == ["start the engine, and run the command again"]


def test_each_reason_is_reported_once_in_order() -> None:
    lines = ["Network is unreachable", "Permission denied: '/data/a'", "Could not resolve host: x"]
    assert [diagnosis.line for diagnosis in diagnose(lines)] == lines[:2]


@pytest.mark.parametrize("word", ["bind ", "/cache ", "/", "setuid ", "file exists "])
def test_a_long_line_is_read_in_bounded_time(word: str) -> None:
    assert diagnose([word * 100_000]) == []


@given(st.lists(st.text()))
def test_any_text_can_be_diagnosed(lines: list[str]) -> None:
    assert len({diagnosis.reason for diagnosis in diagnose(lines)}) == len(diagnose(lines))


def test_a_service_on_another_port_is_reported_with_both_ports() -> None:
    diagnosis = diagnose_ports([9090], [8000, 8001, 8002, 9091])
    assert diagnosis is not None
    assert "port 9091, not on 9090" in diagnosis.reason
    assert "SERVICE_PORTS" in diagnosis.fix


@pytest.mark.parametrize("listening", [[9090], [9090, 9091], [8000, 8001, 8002], [8000, 43211], []])
def test_no_diagnosis_when_the_expected_port_is_open_or_no_other_port_is(listening: list[int]) -> None:
    assert diagnose_ports([9090], listening) is None


def test_a_missing_setting_is_named_only_if_the_service_has_ended() -> None:
    lines = ["2026-08-01 10:00:00 | INFO | [service] ValueError: API_TOKEN is not set"]
    assert diagnose(lines) == []
    (diagnosis,) = diagnose([*lines, "ServiceFailed: /app: the service ended with exit code 1"])
    assert diagnosis.reason == "the service says that it needs API_TOKEN, which is not set"
    assert "--secret" in diagnosis.fix
