"""``--emulate`` in Docker: services that nobody here wrote, and faults that only show on the platform."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from tests.scenario import Scenario, run_command

from . import bases
from .test_real_services import text_picture

pytestmark = pytest.mark.docker

# As root, in discovery's container, all is well: what differs is what an instance is.
FAULTY = """
import os, socket, sys, threading
sys.path.insert(0, "/srv/echo")
import service

FAULT = os.environ.get("FAULT") if os.getuid() else None
if FAULT == "root":
    sys.exit("this service must be run as root")
if FAULT == "write":
    open("/srv/state.db", "a")
if FAULT == "port":
    os.environ["PORT"] = "9091"
if FAULT == "crash":
    def end():
        print("out of tokens", flush=True)
        os._exit(3)
    threading.Timer(12, end).start()
if FAULT == "network":
    send_json = service.Handler.send_json
    def connect_and_send_json(self, value):
        if self.path.startswith("/echo"):
            socket.create_connection(("models.example.org", 443))
        send_json(self, value)
    service.Handler.send_json = connect_and_send_json
if FAULT == "vfork":
    import subprocess
    subprocess._USE_VFORK = True  # as in a Python that the launcher's sitecustomize does not reach
    send_json = service.Handler.send_json
    def start_child_and_send_json(self, value):
        if self.path.startswith("/echo"):
            subprocess.run(["/bin/true"], check=True)
        send_json(self, value)
    service.Handler.send_json = start_child_and_send_json
service.main()
"""
FAULTS = {
    "root": (r"the service needs root", "ENTRYPOINT"),
    "write": (r"/srv/state.db is not writable", "writable_paths"),
    "port": (r"listens on port 9091, not on 9090", "SERVICE_PORTS"),
    "crash": (r"the service ended by itself", "7 failures in a row disable it"),
    "network": (r"needs the network, which is closed", "allow_external_egress"),
}


def emulated(scenario: Scenario, *arguments: str, watch_s: float = 0) -> subprocess.CompletedProcess[str]:
    watch = ("--watch", str(watch_s))
    return run_command("--emulate", str(scenario.module), "--check", "--yes", "--json", *watch, *arguments)


def verdicts(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["guard"]["good"], result["guard"]
    return {route["route"]: route for route in result["routes"]}


def append(scenario: Scenario, source: str) -> None:
    scenario.module.write_text(scenario.module.read_text() + source)


@pytest.fixture(scope="module")
def faulty(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    base = bases.built_from_scratch(
        "faulty",
        f'FROM {bases.image("echo")}\nCOPY faulty.py /srv/faulty.py\nCMD ["python3", "/srv/faulty.py"]\n',
        {"faulty.py": FAULTY},
    )
    scenario = Scenario(
        tmp_path_factory.mktemp("faulty"), "faulty", base, [9090], image_arguments="python_version='3.11'"
    )
    scenario.module.write_text(scenario.module.read_text().replace("timeout=60", "timeout=15"))
    scenario.discover()
    return scenario


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_service_is_named_with_what_to_change(faulty: Scenario, fault: str) -> None:
    module = faulty.module.read_text()
    try:
        faulty.module.write_text(module.replace("CHUTE_ENV = {}", f"CHUTE_ENV = {{'FAULT': '{fault}'}}"))
        done = emulated(faulty, watch_s=40 if fault == "crash" else 0)
    finally:
        faulty.module.write_text(module)
    # Without the network the service fails at some routes only, so these are not proven.
    assert done.returncode == (3 if fault == "network" else 1), done.stdout + done.stderr
    reason, fix = FAULTS[fault]
    assert reason in done.stderr
    assert fix in done.stderr


def test_what_fails_only_under_the_guard_is_a_warning(faulty: Scenario) -> None:
    module = faulty.module.read_text()
    try:
        faulty.module.write_text(module.replace("CHUTE_ENV = {}", "CHUTE_ENV = {'FAULT': 'vfork'}"))
        done = emulated(faulty)
    finally:
        faulty.module.write_text(module)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["good"]
    assert not result["guard"]["good"]
    assert "it was started by vfork" in result["guard"]["problem"]
    assert "may fail under the platform's guard library, measured without its launch token" in done.stderr


def test_a_file_that_the_image_lacks_is_named(faulty: Scenario, tmp_path: Path) -> None:
    module, voices = faulty.module.read_text(), tmp_path / "voices.json"
    voices.write_text("{}")
    try:
        append(faulty, f"VOICES = open({str(voices)!r}).read()\n")
        done = emulated(faulty)
    finally:
        faulty.module.write_text(module)
    assert done.returncode == 1
    assert f"{voices} is not in the image" in done.stderr
    assert "image.add()" in done.stderr


@pytest.mark.exhaustive
def test_rapidocr_reads_a_picture_through_the_platform(engine: DockerEngine, tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "ocr-emulated", bases.image("rapidocr"), [9003])
    (tmp_path / "page.png").write_bytes(text_picture("CHUTES 42"))
    append(scenario, 'CHUTE_EXAMPLES = {"POST /ocr": {"image_file": {"content_of": "page.png"}}}\n')
    found = verdicts(emulated(scenario))
    assert found["POST /ocr"]["travels"] == "multipart"
    assert found["POST /ocr"]["status"] == 200
    assert found["POST /ocr"]["bytes"] > 20
    assert all(route["good"] for route in found.values())


@pytest.mark.exhaustive
def test_chromadb_answers_through_the_platform_as_it_does_itself(engine: DockerEngine, tmp_path: Path) -> None:
    scenario = Scenario(tmp_path, "chroma-emulated", bases.image("chromadb"), [8010])
    found = verdicts(emulated(scenario))
    assert len(found) >= 5
    assert all(route["good"] for route in found.values())
