from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.errors import ServiceFailed
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.layout import LAUNCH_SETTINGS_VARIABLE, RECIPE_VARIABLES
from chutes_wrappers.runtime.launcher import (
    SERVICE_PYTHON_FOLDER,
    ManagedProcess,
    build_service_argv,
    build_service_environment,
)
from chutes_wrappers.runtime.process_tree import ProcessTree

from .conftest import Starter

ROOT = Path(__file__).resolve().parents[2]
SPEC = LaunchSpec(
    entrypoint=("/start.sh",),
    cmd=("--serve",),
    home="/root",
    environment={"PATH": "/opt/venv/bin:/bin", "HF_HOME": "/models"},
)
NAMES = st.dictionaries(st.text("ABC", min_size=1, max_size=2), st.text("xyz", max_size=2), max_size=4)


def wait_until(condition: Callable[[], object], timeout_s: float = 60) -> None:
    """Poll a fact about another process until it holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        threading.Event().wait(0.01)


def pids_of(process: ManagedProcess) -> list[int]:
    wait_until(lambda: "pids" in process.tail)
    return [int(word) for word in process.tail.split()[1:]]


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("entrypoint", "argv"),
    [
        (None, ("/start.sh", "--serve")),
        ("", ("/start.sh", "--serve")),
        ("run --fast && wait", ("/bin/sh", "-c", "run --fast && wait")),
        (["run", "--fast"], ("run", "--fast")),
    ],
)
def test_the_modules_entrypoint_replaces_the_images_command(
    entrypoint: str | list[str] | None, argv: tuple[str, ...]
) -> None:
    assert build_service_argv(SPEC, entrypoint) == argv


def test_dockers_shell_form_is_run_unchanged() -> None:
    spec = LaunchSpec(entrypoint=("/bin/sh", "-c", "exec serve"), cmd=("ignored by the shell",))
    assert build_service_argv(spec) == ("/bin/sh", "-c", "exec serve", "ignored by the shell")


def test_the_image_overrides_the_instance_and_the_module_overrides_both() -> None:
    instance = {
        "PATH": "/opt/chutes-wrappers/venv/bin:/bin",
        "HF_HOME": "/cache",
        "HF_TOKEN": "secret",
        "LD_PRELOAD": "/usr/local/lib/chutes-aegis.so",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "HOME": "/home/chutes",
        "MODE": "instance",
        "CHUTES_USERNAME": "somebody",
        LAUNCH_SETTINGS_VARIABLE: "{}",
        "PIP_NO_CACHE_DIR": "1",
    }
    environment = build_service_environment(SPEC, instance, {"MODE": "module", "THREADS": "4"})
    assert environment == {
        "PATH": "/opt/venv/bin:/bin",
        "HF_HOME": "/cache",
        "HF_TOKEN": "secret",
        "LD_PRELOAD": "/usr/local/lib/chutes-aegis.so",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "HOME": "/root",
        "MODE": "module",
        "THREADS": "4",
    }


def test_the_modules_variables_in_the_image_override_the_base_image() -> None:
    assert build_service_environment(SPEC, {"HF_HOME": "/mine"}, {}, kept_names=["HF_HOME"])["HF_HOME"] == "/mine"


def test_values_of_the_platform_and_secrets_override_the_image() -> None:
    image = {"LD_PRELOAD": "libtcmalloc.so", "HF_HOME": "/models", "NVIDIA_VISIBLE_DEVICES": "all", "HF_TOKEN": ""}
    instance = {"LD_PRELOAD": "guard.so", "HF_HOME": "/cache", "NVIDIA_VISIBLE_DEVICES": "GPU-1", "HF_TOKEN": "secret"}
    environment = build_service_environment(LaunchSpec(environment=image), instance, {})
    assert {name: environment[name] for name in instance} == instance


@pytest.mark.parametrize(
    "name", ["NCCL_IB_DISABLE", "NCCL_ANY", "HF_HUB_CACHE", "HF_XET_ANY", "TOKIO_WORKER_THREADS", "CIVITAI_HOME"]
)
def test_the_hosts_variables_override_the_image_and_not_the_module(name: str) -> None:
    spec = LaunchSpec(environment={name: "image"})
    assert build_service_environment(spec, {name: "host"}, {})[name] == "host"
    assert build_service_environment(spec, {}, {})[name] == "image"
    assert build_service_environment(spec, {name: "host"}, {name: "module"})[name] == "module"


@pytest.mark.parametrize(
    ("instance", "image", "module", "expected"),
    [
        ("/lib/guard.so", "", "", "/lib/guard.so"),
        ("/lib/guard.so", "/lib/jemalloc.so", "", "/lib/guard.so"),
        ("/lib/jemalloc.so", "/lib/jemalloc.so", "", None),  # a local run of the user's tag, which still has the ENV
        ("", "/lib/jemalloc.so", "", None),
        ("/lib/guard.so", "/lib/a.so /lib/b.so", "/lib/b.so:/lib/c.so", "/lib/guard.so:/lib/b.so:/lib/c.so"),
        ("/lib/guard.so", "", "/lib/guard.so", "/lib/guard.so"),
        ("", "", "/lib/jemalloc.so", "/lib/jemalloc.so"),
    ],
)
def test_a_service_loses_the_images_preloads_and_never_the_guard(
    instance: str, image: str, module: str, expected: str | None
) -> None:
    spec = LaunchSpec(environment={"LD_PRELOAD": image})
    environment = build_service_environment(spec, {"LD_PRELOAD": instance}, {"LD_PRELOAD": module})
    assert environment.get("LD_PRELOAD") == expected


@pytest.mark.parametrize(
    ("given_path", "rest"), [({}, []), ({"PYTHONPATH": ""}, []), ({"PYTHONPATH": "/a::/b"}, ["/a", "", "/b"])]
)
def test_our_folder_comes_first_in_the_services_pythonpath(given_path: dict[str, str], rest: list[str]) -> None:
    process = ManagedProcess(["/bin/true"], environment=given_path, directory="/")
    assert process._environment["PYTHONPATH"].split(":") == [str(SERVICE_PYTHON_FOLDER), *rest]


@given(NAMES, NAMES, NAMES)
def test_no_variable_of_image_or_module_is_lost(
    image: dict[str, str], instance: dict[str, str], module: dict[str, str]
) -> None:
    environment = build_service_environment(LaunchSpec(environment=image), instance, module)
    docker = {"HOME": "/root", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    from_image = {name: value for name, value in image.items() if value or not instance.get(name)}
    assert environment == {**docker, **instance, **from_image, **module}
    assert not set(RECIPE_VARIABLES) & environment.keys()


def test_the_service_gets_exactly_its_environment_and_folder(family: Starter, tmp_path: Path) -> None:
    process = family("environment", MARK="given")
    process._directory = str(tmp_path)
    process.start()
    wait_until(lambda: process.exit_code == 0 and process.tail)
    environment = json.loads(process.tail)
    assert environment["environment"]["MARK"] == "given"
    assert environment["cwd"] == str(tmp_path)


def test_its_output_is_logged_line_by_line(family: Starter, log_lines: list[str]) -> None:
    family("fail", "0", "3").start()
    wait_until(lambda: any("line 2" in line for line in log_lines))
    assert [line for line in log_lines if "[service]" in line] == [f"INFO [service] line {index}" for index in range(3)]


def test_of_a_progress_bar_the_last_state_is_logged(family: Starter) -> None:
    process = family("progress")
    process.start()
    wait_until(lambda: process.tail.endswith("done"))
    assert "50%" not in process.tail


def test_any_bytes_and_a_line_without_an_end_are_survived(family: Starter) -> None:
    process = family("garbage")
    process.start()
    wait_until(lambda: process.tail.endswith("last"))
    lines = process.tail.splitlines()
    assert max(map(len, lines)) <= 4096
    assert len(lines) <= 50


def test_an_exit_is_reported_with_its_code_and_the_last_50_lines(family: Starter, log_lines: list[str]) -> None:
    process = family("fail", "3", "100")
    process.start()
    wait_until(lambda: process.exit_code is not None)
    failure = process.make_failure()
    assert "exit code 3" in failure.what
    assert failure.evidence == "\n".join(f"line {index}" for index in range(50, 100))
    wait_until(lambda: any("ERROR" in line and "exit code 3" in line and "line 99" in line for line in log_lines))


def test_an_exit_is_not_logged_while_the_exit_log_is_suppressed(family: Starter, log_lines: list[str]) -> None:
    process = family("fail", "3", "1")
    with process.suppress_exit_log():
        process.start()
        wait_until(lambda: process._has_ended.is_set())
        process.make_failure()
    assert not any("ERROR" in line for line in log_lines)


def test_a_service_that_was_terminated_is_no_error(family: Starter, log_lines: list[str]) -> None:
    process = family("daemon")
    process.start()
    pids_of(process)
    process.terminate()
    assert process.exit_code is not None
    assert not any("ERROR" in line for line in log_lines)


def test_a_script_that_puts_its_work_into_the_background_has_not_failed(family: Starter) -> None:
    process = family("background", "0")
    process.start()
    wait_until(lambda: "listening" in process.tail)
    wait_until(lambda: process.exit_code == 0)
    assert not process.has_failed
    process.terminate()
    assert process.has_failed


def test_a_signal_is_reported_by_its_name(family: Starter) -> None:
    process = family("listen", "127.0.0.1", "0")
    process.start()
    wait_until(lambda: "listening" in process.tail)
    process.find_processes()[0].kill()
    wait_until(lambda: process.exit_code is not None)
    assert "SIGKILL" in process.make_failure().what


@pytest.mark.parametrize("mode", ["stubborn", "daemon", "deserters"])
def test_terminating_ends_the_whole_process_tree(family: Starter, mode: str) -> None:
    process = family(mode)
    process.start()
    pids = pids_of(process)
    assert {member.pid for member in process.find_processes()} == set(pids)
    process.terminate(timeout_s=0.2)
    assert all(is_gone(pid) for pid in pids)
    assert process.find_processes() == []


def test_a_descendant_that_keeps_the_output_open_delays_nothing(family: Starter) -> None:
    process = family("background", "0")
    process.start()
    wait_until(lambda: process.exit_code == 0)
    started = time.monotonic()
    assert "exit code 0" in process.make_failure().what
    process.terminate()
    assert time.monotonic() - started < 30


def test_leaving_the_context_ends_the_service(family: Starter) -> None:
    with family("daemon") as process:
        pids = pids_of(process)
    assert all(is_gone(pid) for pid in pids)


def test_a_missing_command_is_named() -> None:
    process = ManagedProcess(["no-such-command"], environment={"PATH": "/bin"}, directory="/")
    with pytest.raises(ServiceFailed, match="no-such-command") as caught:
        process.start()
    assert "ENTRYPOINT" in str(caught.value)


def test_the_error_for_a_command_that_uid_1000_may_not_run_mentions_uid_1000(tmp_path: Path) -> None:
    script = tmp_path / "start.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o600)
    with pytest.raises(ServiceFailed, match="uid 1000"):
        ManagedProcess([str(script)], environment={}, directory="/").start()


def test_the_error_for_a_script_names_its_missing_interpreter(tmp_path: Path) -> None:
    script = tmp_path / "start.sh"
    script.write_text("#!/no/such/shell\n")
    script.chmod(0o755)
    with pytest.raises(ServiceFailed, match="interpreter"):
        ManagedProcess([str(script)], environment={}, directory="/").start()


@pytest.mark.parametrize(("name", "value"), [("A", "nul\0"), ("A=B", "x")])
def test_an_impossible_variable_is_an_error_of_ours(name: str, value: str) -> None:
    with pytest.raises(ServiceFailed, match="cannot be started"):
        ManagedProcess(["true"], environment={"PATH": "/bin", name: value}, directory="/").start()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can close a folder to somebody else")
def test_a_working_directory_that_is_closed_to_the_user_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(0o700)
    script = (
        "import os, sys\n"
        "from chutes_wrappers.runtime.launcher import ManagedProcess\n"
        "os.setgroups([]); os.setgid(1000); os.setuid(1000)\n"
        "ManagedProcess(['true'], environment={'PATH': '/bin'}, directory=sys.argv[1]).start()\n"
    )
    argv = [sys.executable, "-c", script, str(closed)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert f"{closed}: the service cannot be started: Permission denied" in done.stderr
    assert "writable_paths=" in done.stderr


def test_a_missing_working_directory_is_named() -> None:
    with pytest.raises(ServiceFailed, match="/no/such/folder"):
        ManagedProcess(["true"], environment={"PATH": "/bin"}, directory="/no/such/folder").start()


def test_a_program_is_looked_up_on_the_services_own_path(tmp_path: Path) -> None:
    program = tmp_path / "vendor-program"
    program.write_text("#!/bin/sh\necho from the vendor\n")
    program.chmod(0o755)
    with ManagedProcess(["vendor-program"], environment={"PATH": f"{tmp_path}:/bin"}, directory="/") as process:
        wait_until(lambda: process.tail == "from the vendor")


def test_values_of_the_environment_are_not_logged(family: Starter, log_lines: list[str]) -> None:
    family("fail", "0", "1", SECRET="canary").start()
    wait_until(lambda: any("line 0" in line for line in log_lines))
    assert not any("canary" in line for line in log_lines)
    assert os.environ.get("SECRET") is None


def test_a_start_avoids_vfork_which_the_platforms_guard_does_not_let_live(
    family: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "_USE_VFORK", True)
    family("daemon").start()
    assert not subprocess._USE_VFORK  # type: ignore[attr-defined]  # documented, but not in typeshed


def test_a_process_that_was_never_started_has_no_exit_code() -> None:
    process = ManagedProcess(["/bin/true"], environment={}, directory="/")
    process.terminate()
    assert (process.exit_code, process.has_failed, process.tail, process.find_processes()) == (None, False, "", [])


def test_dead_children_are_reaped_periodically(family: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    reaped = threading.Semaphore(0)
    monkeypatch.setattr(ProcessTree, "reap_orphans", lambda self: reaped.release())
    family("daemon").start()
    for _ in range(3):
        assert reaped.acquire(timeout=20)


@pytest.mark.parametrize("mode", [("fail", "0", "1"), ("daemon",)])
def test_no_thread_remains_after_the_process_tree_has_ended(family: Starter, mode: tuple[str, ...]) -> None:
    before = {*threading.enumerate()}
    process = family(*mode)
    process.start()
    if mode == ("daemon",):
        wait_until(lambda: process.tail)
        assert {*threading.enumerate()} - before
        process.terminate()
    wait_until(lambda: not {*threading.enumerate()} - before)
    assert process.exit_code is not None


def test_a_signal_without_a_name_is_shown_by_its_number() -> None:
    process = ManagedProcess(["/bin/sh", "-c", "kill -40 $$"], environment={}, directory="/")
    process.start()
    wait_until(lambda: process.exit_code is not None)
    assert "the service ended with signal 40" in str(process.make_failure())


def test_a_missing_program_is_not_reported_as_a_missing_interpreter(tmp_path: Path) -> None:
    for argv, directory in ((["/no/such"], "/"), (["/no/such"], str(tmp_path))):
        with pytest.raises(ServiceFailed) as caught:
            ManagedProcess(argv, environment={}, directory=directory).start()
        assert caught.value.where == "/no/such"
        assert "interpreter" not in str(caught.value)
        assert "working directory" not in str(caught.value)


def test_a_command_that_is_its_own_working_directory_is_not_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(ServiceFailed, match="set ENTRYPOINT"):
        ManagedProcess([str(tmp_path)], environment={}, directory=str(tmp_path)).start()
