"""``--emulate`` without Docker: a real service, the SDK's own code in an instance, every route called."""

from __future__ import annotations

import json
import re
import socket
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from chutes_wrappers.cli.emulation.screen import Screen
from chutes_wrappers.emulator.page.page_access import SECRET_HEADER
from chutes_wrappers.host.parity.response_record import ResponseRecord
from tests.scenario import ROOT, Scenario, find_free_port, run_command, until_interrupted

MORSE = ROOT / "examples" / "morse"
UPLOAD = {"encoding": "multipart", "files": ["file"]}
EXAMPLES = {"POST /speak": {"text": "SOS"}, "POST /inference": {"file": {"answer_of": "POST /speak"}}}


class Sample:
    """The Morse sample on free ports, as a module to emulate."""

    def __init__(self, folder: Path, entrypoint: str = "", **inference: Any) -> None:
        self.ports = [find_free_port(), find_free_port()]
        speak, listen = self.ports
        own = f"cd {MORSE} && PORT_SPEAK={speak} PORT_LISTEN={listen} exec {sys.executable} -m morse"
        route = {"path": "/inference", "port": listen, "request": UPLOAD, **inference}
        scenario = Scenario(folder, "emulated", "vendor/unused:1", self.ports, static_routes=[route])
        self.module = scenario.module
        self.append(f"HOST_ENTRYPOINT = {entrypoint or own!r}\nCHUTE_EXAMPLES = {EXAMPLES!r}\n")

    def append(self, source: str) -> None:
        self.module.write_text(self.module.read_text() + source)

    def check(self, *arguments: str, watch_s: float = 0) -> Any:
        watch = ("--watch", str(watch_s))
        return run_command(
            "--emulate", str(self.module), "--no-docker", "--check", "--yes", *watch, *arguments, timeout_s=120
        )


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_message_goes_from_text_to_sound_and_back_through_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = Sample(tmp_path)
    # The instance does not start without the variable, which the emulated platform stores as a secret.
    headers = 'CHUTE_HEADERS = {"X-Key": "${SAMPLE_KEY}"}'
    sample.module.write_text(sample.module.read_text().replace("CHUTE_ENV =", f"{headers}\nCHUTE_ENV ="))
    monkeypatch.setenv("SAMPLE_KEY", "k1")
    done = sample.check("--json", "--keep-bodies")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    routes = {route["route"]: route for route in result["routes"]}
    assert {"POST /speak", "POST /encode", "GET /alphabet", "POST /inference"} <= set(routes)
    assert result["good"]
    assert result["guard"] is None
    assert result["counts"] == {"proven": len(routes), "not proven": 0, "failing": 0, "not called": 0}
    assert f"✓ {len(routes)} proven · 0 not proven · 0 failing" in done.stderr
    assert all(route["good"] for route in routes.values())
    assert routes["POST /speak"]["media_type"] == "audio/wav"
    assert routes["POST /inference"] | {"milliseconds": 0} == {
        "route": "POST /inference",
        "travels": "multipart",
        "status": 200,
        "service_status": 200,
        "media_type": "application/json",
        "bytes": len('{"text": "SOS"}'),
        "milliseconds": 0,
        "good": True,
        "kind": "proven",
        "excused": False,
        "verdict": "same bytes",
        "fix": "",
    }
    assert all(map(is_free, sample.ports))
    assert not sample.module.with_suffix(".routes.json").exists()
    check_record(sample.module.with_suffix(".responses.json"), {*routes})


def check_record(path: Path, names: set[str]) -> None:
    """Check the record for ``--verify`` of the sample, with bodies."""
    record = ResponseRecord.model_validate_json(path.read_text())
    routes = {route.name: route for route in record.routes}
    assert {*routes} == names
    assert [route.reason for route in record.routes if route.reason] == []
    assert routes["POST /inference"].kept_body == '{"text": "SOS"}'
    assert all(route.is_deterministic for route in record.routes)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_upload_through_the_sdks_own_passthrough_is_found_with_its_fix(tmp_path: Path) -> None:
    sample = Sample(tmp_path, native=True, request=None)
    sample.module.with_suffix(".responses.json").mkdir()  # in the place of the record
    done = sample.check()
    assert done.returncode == 1
    assert "POST /inference would fail on Chutes" in done.stderr
    assert 'remove "native" from the route' in done.stderr
    assert "the record for --verify was not written" in done.stderr
    assert "run --emulate again before --verify" in done.stderr


def test_a_service_that_dies_after_a_while_is_found(tmp_path: Path) -> None:
    port = find_free_port()
    serve = f"{sys.executable} -m http.server --bind 127.0.0.1 {port} & sleep 8; kill $!; echo no more tokens; exit 3"
    sample = Sample(tmp_path, serve)
    source = (
        sample.module.read_text()
        .replace(repr(sample.ports), f"[{port}]")
        .replace(f"'port': {sample.ports[1]}", f"'port': {port}")
    )
    sample.module.write_text(
        source.replace("'path': '/inference'", "'path': '/inference', 'method': 'GET', 'target_path': '/'")
    )
    done = sample.check(watch_s=40)
    assert done.returncode == 1
    assert "the service did not keep running" in done.stderr
    assert "the service ended by itself" in done.stderr


def test_a_port_in_use_by_another_program_is_named(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    with socket.create_server(("127.0.0.1", sample.ports[1])):
        done = sample.check("--json")
    assert done.returncode == 2
    failure = json.loads(done.stdout)
    assert (failure["good"], failure["exit_code"]) == (False, 2)
    assert f"port {sample.ports[1]}" in failure["error"]["what"]
    assert f"port {sample.ports[1]}" in done.stderr


def test_rules_are_checked_before_anything_is_uploaded_and_excuse_routes(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    sample.append('CHUTE_CHECKS = {"POST /inferenc": {"skip": "x"}}\n')
    done = sample.check()
    assert done.returncode == 2
    assert "CHUTE_CHECKS: the chute has no route 'POST /inferenc'; did you mean POST /inference?" in done.stderr
    assert "Uploading" not in done.stderr


def test_a_start_that_fails_is_explained(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    sample.append("\nif __import__('chutes.util.context', fromlist=['x']).is_remote():\n    open('voices.json')\n")
    done = sample.check()
    assert done.returncode == 1
    assert "would not start on Chutes" in done.stderr
    assert "voices.json is not in the image" in done.stderr
    assert all(map(is_free, sample.ports))


def test_rejected_modules_are_reported_before_anything_is_started(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    source = sample.module.read_text().replace(
        "SERVICE_PORTS[0])\n", "SERVICE_PORTS[0], public_methods=['GET', 'POST', 'PUT'])\n", 1
    )
    sample.module.write_text(source.replace("'path': '/inference'", "'path': '/inference', 'method': 'PUT'"))
    sample.append("#" * 150_000)
    done = sample.check()
    assert done.returncode == 2
    assert "/inference: only the newest version of the API accepts the public method PUT" in done.stderr
    assert "150,000" in done.stderr
    assert "Starting" not in done.stderr.partition("would reject")[2]


def test_a_missing_host_entrypoint_names_the_variable_to_set(tmp_path: Path) -> None:
    module = Scenario(tmp_path, "emulated", "vendor/unused:1", [find_free_port()]).module
    done = run_command("--emulate", str(module), "--no-docker", "--yes")
    assert done.returncode == 2
    assert "HOST_ENTRYPOINT" in done.stderr


def test_it_stays_with_a_page_and_a_call_to_try_until_ctrl_c(tmp_path: Path) -> None:
    sample, port = Sample(tmp_path), find_free_port()
    arguments = ("--emulate", str(sample.module), "--no-docker", "--yes", "--port", str(port))
    with until_interrupted(*arguments) as emulating:
        page = re.search(rf"Page: +http://127\.0\.0\.1:{port}/#(\S+)", emulating.output_text)
        assert page is not None, emulating.output_text
        assert "curl -H 'Authorization: Bearer cpk_" in emulating.output_text
        url, secret = f"http://127.0.0.1:{port}/emulator/status.json", {SECRET_HEADER: page[1]}
        assert requests.get(url, timeout=60).status_code == 403
        status = requests.get(url, headers=secret, timeout=60).json()
        assert [chute["instances"][0]["state"] for chute in status["chutes"]] == ["active"]
    assert is_free(port)
    assert all(map(is_free, sample.ports))


@pytest.mark.parametrize("flag", ["--check", "--no-docker", "--json"])
def test_its_flags_are_rejected_elsewhere(flag: str) -> None:
    done = run_command("--run", "deploy_example", flag)
    assert done.returncode == 2
    assert "--emulate" in done.stderr


def test_the_instance_may_print_while_its_lines_are_read() -> None:
    screen = Screen()
    screen.add_line("one")
    for line in screen.lines:
        screen.add_line(f"after {line}")
    assert screen.lines == ["one", "after one"]
