"""Lines as real services write them, and what an instance's owner should be told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.host.parity.log_diagnosis import diagnose, elsewhere

LINES = [
    ("PermissionError: [Errno 13] Permission denied: '/data/state.db'", "/data/state.db is not writable", "'/data'"),
    ("OSError: [Errno 30] Read-only file system: '/models/x'", "/models/x is not writable", "'/models'"),
    ("mkdir: cannot create directory '/var/lib/app': Permission denied", "/var/lib/app is not writable", "'/var/lib'"),
    (
        'nginx: [emerg] open() "/run/nginx.pid" failed (13: Permission denied)',
        "/run/nginx.pid is not writable",
        "'/run/nginx.pid'",
    ),
    ("touch: /root/.cache/x: Permission denied", "/root/.cache/x is not writable", "'/root/.cache/x'"),
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
    ("ServiceFailed: the service ended with exit code 3", "ended by itself", "deleted after seven"),
]
HARMLESS = [
    "INFO: Application startup complete.",
    "uvicorn running on http://0.0.0.0:8020",
    "permissions are checked at every call",
    "GET /network 200",
    "the root path is /",
    "Error: listen EADDRINUSE: address already in use :::9090",
    "uvicorn running on http://0.0.0.0:8002",
    "",
]


@pytest.mark.parametrize(("line", "reason", "fix"), LINES)
def test_a_line_is_explained_by_what_an_instance_is_not(line: str, reason: str, fix: str) -> None:
    (found,) = diagnose([f"2026-11-23 | ERROR | {line}"])
    assert reason in found.reason
    assert fix in found.fix
    assert line in found.line


@pytest.mark.parametrize("line", HARMLESS)
def test_what_means_nothing_is_passed_over(line: str) -> None:
    assert diagnose([line]) == []


def test_one_reason_is_told_once_and_the_first_comes_first() -> None:
    lines = ["Network is unreachable", "Permission denied: '/data/a'", "Could not resolve host: x"]
    assert [each.line for each in diagnose(lines)] == lines[:2]


@given(st.lists(st.text()))
def test_no_log_makes_it_fail(lines: list[str]) -> None:
    assert len({each.reason for each in diagnose(lines)}) == len(diagnose(lines))


def test_a_service_on_another_port_is_named_with_both() -> None:
    found = elsewhere([9090], [8000, 8001, 8002, 9091])
    assert found is not None
    assert "port 9091, not on 9090" in found.reason
    assert "SERVICE_PORTS" in found.fix


@pytest.mark.parametrize("listening", [[9090], [9090, 9091], [8000, 8001, 8002], [8000, 43211], []])
def test_a_service_that_is_there_or_not_yet_is_not_elsewhere(listening: list[int]) -> None:
    assert elsewhere([9090], listening) is None
