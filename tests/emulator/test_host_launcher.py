from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.manifest import Manifest, parse_routes
from chutes_wrappers.emulator import host_launcher
from chutes_wrappers.emulator.host_launcher import HostImage, HostInstance, HostLauncher
from chutes_wrappers.emulator.records import InstanceState
from tests.emulator.platforms import HEAD, is_active, make_chute, make_chute_record, run_invocation_platform
from tests.scenario import ROOT, find_free_port
from tests.second_user import find_readable_files, needs_root, shared_temporary_folder

MODULE = """
import os
from tools.chute_wrappers import load_route_manifest, register_passthrough_routes, wait_for_services

register_passthrough_routes(chute, load_route_manifest(), {port})


@chute.on_startup()
async def boot(self):
    await wait_for_services([{port}], timeout=60)


@chute.cord(public_api_path="/environment")
def environment(self):
    return {{**os.environ, "cwd": os.getcwd(), "cache": os.listdir(os.environ["HF_HOME"])}}
"""
SERVICE = """
import json, os, http.server


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(dict(os.environ)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def image(folder: Path, port: int) -> HostImage:
    """A service that its module starts from the manifest."""
    (folder / "service.py").write_text(SERVICE)
    spec = LaunchSpec(
        entrypoint=(sys.executable, str(folder / "service.py")),
        working_dir=str(folder),
        environment={"PORT": str(port), "VENDOR": "yes"},
        exposed_ports=(port,),
    )
    routes = parse_routes([{"path": "/who", "method": "GET"}], where="test")
    return HostImage(
        manifest=Manifest(image=spec, routes=routes), environment={"CHUTE_SPEED": "9"}, starts_service=True
    )


def test_the_module_starts_its_service_as_the_manifest_says_and_both_end_with_the_emulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHUTES_API_KEY", "cpk_own")
    monkeypatch.setenv("SOMETHING_OF_MINE", "private")
    port = find_free_port()
    brought = image(tmp_path, port)
    with run_invocation_platform(image=brought) as running:
        record = running.deploy(
            make_chute(
                tmp_path, HEAD.format(concurrency=2) + MODULE.format(port=port), manifest=brought.manifest,
                environment={"HF_TOKEN": "hf_secret"},
            )
        )  # fmt: skip
        assert is_active(record), record.ended_because
        service = running.get("/who").json()
        assert (service["PORT"], service["VENDOR"]) == (str(port), "yes")
        variables = running.post("/environment").json()
        assert (variables["HF_TOKEN"], variables["CHUTE_SPEED"], variables["cache"]) == ("hf_secret", "9", [])
        assert variables["cwd"] != str(tmp_path)
        for environment in (variables, service):
            assert not {"CHUTES_API_KEY", "SOMETHING_OF_MINE"} & environment.keys()
            assert not [name for name in environment if "EMULATOR" in name]
        assert "hf_secret" not in running.log(record.instance_id)
        folder = Path(variables["cwd"])
    assert not folder.exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@needs_root
def test_a_second_user_of_this_machine_cannot_read_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "".join(["hf_", "4711"])
    code = HEAD.format(concurrency=1) + f'CHUTE_ENV = {{"HF_TOKEN": "{secret}"}}\n'
    with shared_temporary_folder(monkeypatch) as folder, run_invocation_platform() as running:
        record = running.deploy(make_chute_record(code=code))
        assert is_active(record), record.ended_because
        (folder / "shown").write_text(secret)
        assert [file.name for file in folder.rglob("*") if file.is_file() and secret in file.read_text()] != ["shown"]
        assert find_readable_files(folder, secret) == [str(folder / "shown")]


def test_a_port_in_use_is_an_error_that_names_the_process(
    tmp_path: Path,
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with run_invocation_platform(image=image(tmp_path, port)) as running:
            record = running.deploy(make_chute_record(code=HEAD.format(concurrency=1)))
            assert record.state is InstanceState.GONE
            assert f"port {port}, which the service needs, is in use by" in record.ended_because
            assert f"(pid {os.getpid()})" in record.ended_because


def test_a_kept_cache_is_a_folder_of_the_chute_until_the_chute_is_deleted(tmp_path: Path) -> None:
    launcher = HostLauncher(cache_root=tmp_path)
    (tmp_path / "chute-1" / "model").mkdir(parents=True)
    folder = tmp_path / "chute-1"
    assert launcher.describe_cache("chute-1") == f"the folder {folder}. To remove it: rm -r {folder}"
    launcher.close()
    assert folder.exists()
    launcher.remove_cache("chute-1")
    assert [*tmp_path.iterdir()] == []


def test_no_other_user_can_read_a_kept_cache(tmp_path: Path) -> None:
    cache = tmp_path / "caches" / "chute-1"
    host_launcher._build_environment(make_chute_record(), HostImage(), tmp_path / "m.py", tmp_path, cache)
    assert cache.stat().st_mode & 0o777 == 0o700


def test_folders_that_a_service_made_read_only_are_removed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, folder = tmp_path / "target", tmp_path / "cache" / "chute-1" / "a" / "b"
    target.mkdir(mode=0o500)
    folder.mkdir(parents=True)
    (folder.parent / "link").symlink_to(target)
    for each in (folder, folder.parent):
        each.chmod(0o500)
    modes: list[int] = []  # before the removal: root may remove anything
    monkeypatch.setattr(
        shutil,
        "rmtree",
        lambda path, **_: modes.extend(each.stat().st_mode & 0o777 for each in (folder, folder.parent, target)),
    )
    HostLauncher(cache_root=tmp_path / "cache").remove_cache("chute-1")
    assert modes == [0o700, 0o700, 0o500]


def test_another_cache_ends_with_the_emulator() -> None:
    launcher = HostLauncher()
    root = launcher._find_cache_root()
    assert root.exists()
    launcher.close()
    assert not root.exists()


def test_a_probe_of_a_process_fails_without_a_response_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform_rules, "PROBE_TIMEOUT_S", 0.05)

    class Running:
        def poll(self) -> None:
            return None

    with socket.create_server(("127.0.0.1", 0)) as silent:
        instance = HostInstance(Running(), None, silent.getsockname()[1])  # type: ignore[arg-type]  # fakes
        assert "holds the interpreter" in instance.find_probe_problem()
    assert "refused" in instance.find_probe_problem()


def test_a_module_that_cannot_be_imported_is_reported(tmp_path: Path) -> None:
    with run_invocation_platform() as running:
        record = running.deploy(make_chute_record(code="import no_such_module_anywhere"))
        assert record.state is InstanceState.GONE
        assert "No module named 'no_such_module_anywhere'" in record.ended_because


def test_an_instance_ends_when_its_emulator_was_killed(tmp_path: Path) -> None:
    script = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from chutes_wrappers.emulator import host_launcher
from chutes_wrappers.emulator.host_launcher import HostLauncher
from tests.emulator.platforms import HEAD, make_chute_record
with HostLauncher().launch(make_chute_record(code=HEAD.format(concurrency=1))) as instance:
    print(instance._process.pid, flush=True)
    for line in instance.read_lines():
        if "Running on" in line:
            print("running", flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}
    ) as emulator:  # fmt: skip
        assert emulator.stdout is not None
        child = psutil.Process(int(emulator.stdout.readline()))
        assert emulator.stdout.readline() == "running\n"
        emulator.send_signal(signal.SIGKILL)
    psutil.wait_procs([child], timeout=60)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_only_one_runs_at_a_time() -> None:
    assert HostLauncher().max_running == 1
