from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chutes_wrappers.cli.commands import discover
from chutes_wrappers.cli.discover_routes import main
from chutes_wrappers.core.manifest import Manifest, parse_manifest
from chutes_wrappers.core.routes import Route
from tests.scenario import find_free_port
from tests.upstreams.scripted import Reply, json_reply, serve_script

ROOT = Path(__file__).resolve().parents[2]
SPECIFICATION = {"/openapi.json": json_reply({"openapi": "3.1.0", "paths": {"/say": {"get": {}}, "/": {"get": {}}}})}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_the_script_runs_from_any_folder(tmp_path: Path) -> None:
    with serve_script(SPECIFICATION) as server:
        argv = [sys.executable, str(ROOT / "tools" / "discover_routes.py"), "--base-url", server.root, "--port", "8020"]
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (route,) = parse_manifest(done.stdout, where="stdout").routes
    assert (route.path, route.port) == ("/say", 8020)
    assert "port 8020: /openapi.json: 1 routes, 1 skipped" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_output_names_the_file_and_leaves_standard_output_empty(tmp_path: Path) -> None:
    target = tmp_path / "x.routes.json"
    with serve_script(SPECIFICATION) as server:
        result = run("--base-url", server.root, "--output", str(target))
        assert (result.exit_code, result.stdout) == (0, "")
        assert json.loads(target.read_text())["routes"][0]["port"] == server.port
        both = run("--base-url", server.root, "--output", str(target), "--json")
    assert json.loads(both.stdout) == json.loads(target.read_text())


def test_probe_paths_are_tried(tmp_path: Path) -> None:
    with serve_script({"/own/spec": SPECIFICATION["/openapi.json"]}) as server:
        result = run("--base-url", server.root, "--probe-paths", "/nothing, /own/spec")
    assert json.loads(result.stdout)["source"] == {str(server.port): f"{server.root}/own/spec"}


def test_no_service_is_exit_code_1_within_the_timeout() -> None:
    result = run(
        "--base-url",
        f"http://127.0.0.1:{find_free_port()}",
        "--startup-delay",
        "0.1",
        "--probe-timeout",
        "0.1",
        "--json",
    )
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no HTTP response" in result.stderr


def test_a_service_without_routes_is_exit_code_1_and_changes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "x.routes.json"
    target.write_text("old")
    monkeypatch.setattr("chutes_wrappers.host.discovery.probing.Bounds.settle_s", 0.1)
    with serve_script({}, otherwise=Reply(body=b"<html>", content_type="text/html")) as server:
        result = run(
            "--base-url", server.root, "--output", str(target), "--startup-delay", "0.3", "--probe-timeout", "0.3"
        )
    assert result.exit_code == 1
    assert "no routes were found" in result.stderr
    assert "/openapi.json is an HTML page" in result.stderr
    assert "CHUTE_STATIC_ROUTES" in result.stderr
    assert target.read_text() == "old"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected either --base-url"),
        (["--base-url", "http://x", "--chute-file", "y.py"], "expected either --base-url"),
        (["--base-url", "x"], "is not a root URL"),
        (["--base-url", "http://x", "--port", "0"], "--port"),
        (["--base-url", "http://127.0.0.1:8000"], "port 8000 belongs to the chute itself"),
        (["--base-url", "http://127.0.0.1:9000", "--port", "8001"], "port 8001 belongs to the chute's logging server"),
        (["--base-url", "http://127.0.0.1:8002"], "port 8002 belongs to the chute's attestation server"),
        (["--base-url", "http://x", "--shm-size", "big"], "is not a valid size"),
        (["--base-url", "http://x", "--output", "/nowhere/x.json"], "is not writable"),
        (["--chute-file", "deploy_nowhere.py", "--docker-env", "=1"], "has no variable name"),
        (["--base-url", "http://x", "--openapi", "/nowhere/x.json"], "is not writable"),
        (["--base-url", "http://x", "--expose", "file"], "use some of parameters, files"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_module_and_its_container_options_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: dict[str, Any] = {}

    def from_file(chute_file: str, settings: discover.Settings, path: Path | None) -> Manifest:
        recorded.update(file=chute_file, settings=settings, path=path)
        return Manifest(routes=(Route(path="/say"),))

    monkeypatch.setattr(discover, "discover_file", from_file)
    result = run(
        *("--chute-file", "deploy_x.py", "--startup-delay", "1", "--probe-timeout", "2", "--docker-gpus", "none"),
        *("--docker-env", "A=1", "--docker-env", "B=2", "--docker-volume", "/a:/b", "--shm-size", "1g"),
        *("--docker-user", "1000", "--docker-entrypoint", "serve --port '80 20'"),
        *("--expose", "files,root", "--openapi", "api.json"),
    )
    assert (result.exit_code, result.stdout) == (0, "")
    assert recorded["file"] == "deploy_x.py"
    assert recorded["path"] is None
    assert recorded["settings"] == discover.Settings(
        startup_delay_s=1,
        probe_timeout_s=2,
        gpus="none",
        environment={"A": "1", "B": "2"},
        volumes=("/a:/b",),
        shm_bytes=1024**3,
        user="1000",
        entrypoint=("serve", "--port", "80 20"),
        expose=frozenset({"files", "root"}),
        openapi=Path("api.json"),
    )


def test_the_seeds_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: list[discover.Settings] = []

    def from_file(chute_file: str, settings: discover.Settings, path: Path | None) -> Manifest:
        recorded.append(settings)
        return Manifest()

    monkeypatch.setattr(discover, "discover_file", from_file)
    assert run("--chute-file", "deploy_x.py").exit_code == 0
    assert recorded == [discover.Settings(startup_delay_s=120, probe_timeout_s=180, gpus="all")]
