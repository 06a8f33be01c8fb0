"""Instances of the emulator in Docker: what the platform's pod is, and a network that is cut once they are active."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from chutes_wrappers.core.manifest import load_manifest
from chutes_wrappers.emulator.docker_launcher import DockerLauncher
from chutes_wrappers.emulator.records import InstanceState
from chutes_wrappers.host.container_engine.docker_engine import LABEL, DockerEngine, connect
from chutes_wrappers.host.container_engine.engine import ContainerSpec
from chutes_wrappers.host.parity.log_diagnosis import diagnose
from tests.emulator.platforms import HEAD, is_active, make_chute, make_chute_record, run_invocation_platform
from tests.scenario import ROOT, Scenario
from tests.second_user import find_readable_files, needs_root, shared_temporary_folder

from . import bases

pytestmark = pytest.mark.docker

MODULE = """
import json, os, socket, urllib.request
from tools.chute_wrappers import load_route_manifest, register_passthrough_routes, wait_for_services

AT_START = {{}}
# The SDK has bound it before it loads this module.
ATTESTATION = socket.socket().connect_ex(("127.0.0.1", 8002))
register_passthrough_routes(chute, load_route_manifest(), 9090)


def reaches(address):
    try:
        socket.create_connection((address, 8000), 5).close()
        return True
    except OSError:
        return False


@chute.on_startup()
async def boot(self):
    AT_START["empty"] = {{folder: os.listdir(folder) for folder in ("/tmp", "/cache")}}
    AT_START["reached"] = reaches("{neighbour}")
    await wait_for_services([9090], timeout=60)


@chute.cord(public_api_path="/instance")
def instance(self):
    for folder in ("/tmp", "/cache", "/app"):
        open(folder + "/written", "w").close()
    shm = os.statvfs("/dev/shm")
    status = dict(line.split(":", 1) for line in open("/proc/1/status"))
    return {{
        **AT_START, "uid": os.getuid(), "gid": os.getgid(), "cwd": os.getcwd(), "pid": os.getpid(), "file": __file__,
        "hf_home": os.environ["HF_HOME"], "secret": os.environ.get("HF_TOKEN"),
        "context": os.environ["CHUTES_EXECUTION_CONTEXT"],
        "keys": [name for name in os.environ if "EMULATOR" in name], "nccl": os.environ["NCCL_P2P_DISABLE"], "shm": shm.f_blocks * shm.f_frsize,
        "source_is_writable": os.access(__file__, os.W_OK),
        "alive": urllib.request.urlopen("http://127.0.0.1:8001/_alive").read().decode(),
        "evidence": ATTESTATION,
    }}


@chute.cord(public_api_path="/reaches")
def reaches_now(self):
    return reaches("{neighbour}")
"""


@contextmanager
def neighbour(engine: DockerEngine) -> Iterator[str]:
    """The address of a server outside of the instance: reached through the engine's default network."""
    spec = ContainerSpec(
        image=bases.image("python"), entrypoint=["python3"], command=["-u", "-m", "http.server", "8000"]
    )
    with engine.run(spec) as server:
        next(server.stream_logs())
        yield str(server._fetch_networks()["bridge"]["IPAddress"])


@pytest.fixture(scope="module")
def scenario(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    made = Scenario(tmp_path_factory.mktemp("case"), "instance", bases.image("python3-no-pip"), [9090])
    made.discover()
    made.build()
    return made


def chute_in(folder: Path, scenario: Scenario, address: str, **values: Any) -> Any:
    code = HEAD.format(concurrency=4) + MODULE.format(neighbour=address)
    manifest = load_manifest(scenario.manifest)
    return make_chute(folder, code, manifest=manifest, image=scenario.image, concurrency=4, **values)


def test_an_instance_is_what_the_platforms_pod_is_and_its_network_is_cut_when_it_is_active(
    engine: DockerEngine, scenario: Scenario, tmp_path: Path
) -> None:
    with neighbour(engine) as address, run_invocation_platform(DockerLauncher(engine)) as running:
        found = running.deploy(chute_in(tmp_path, scenario, address, environment={"HF_TOKEN": "hf_secret"}))
        assert is_active(found), found.ended_because
        seen = running.post("/instance").json()
        assert (seen["uid"], seen["gid"], seen["pid"], seen["cwd"]) == (1000, 1000, 1, "/app")
        assert (seen["file"], seen["source_is_writable"]) == ("/app/case.py", False)
        assert (seen["hf_home"], seen["secret"], seen["context"]) == ("/cache", "hf_secret", "REMOTE")
        assert seen["empty"] == {"/tmp": [], "/cache": []}
        assert seen["shm"] == 16 * 1024**3
        assert (seen["keys"], seen["nccl"]) == ([], "1")
        assert seen["alive"] == '{"alive":true}'
        assert seen["evidence"] == 0
        # The wrapped service was started from the image, as uid 1000, and is reached through our cords.
        assert running.post("/echo", {"n": 1}, params={"q": "1"}).json()["body"] == {"n": 1}
        # It could reach out before it was active; now it cannot, and calls still arrive.
        assert seen["reached"] is True
        assert running.post("/reaches").json() is False
        assert running.post("/instance").status_code == 200
        log = running.log(found.instance_id)
        assert "hf_secret" not in log
        assert "Added new API route: /instance" in log


@needs_root
def test_a_second_user_of_this_machine_cannot_read_the_module(
    engine: DockerEngine, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "".join(["hf_", "4711"])
    code = HEAD.format(concurrency=1) + f'CHUTE_ENV = {{"HF_TOKEN": "{secret}"}}\n'
    with shared_temporary_folder(monkeypatch) as folder, run_invocation_platform(DockerLauncher(engine)) as running:
        seen = running.deploy(make_chute_record(code=code, image=scenario.image))
        assert is_active(seen), seen.ended_because
        (folder / "shown").write_text(secret)
        assert find_readable_files(folder, secret) == [str(folder / "shown")]


def test_with_external_egress_the_network_stays(engine: DockerEngine, scenario: Scenario, tmp_path: Path) -> None:
    with neighbour(engine) as address, run_invocation_platform(DockerLauncher(engine)) as running:
        running.deploy(chute_in(tmp_path, scenario, address, allow_external_egress=True))
        assert running.post("/reaches").json() is True


def test_a_killed_container_is_noticed_and_nothing_of_it_is_left(
    engine: DockerEngine, scenario: Scenario, tmp_path: Path
) -> None:
    client = docker.from_env()
    try:
        with run_invocation_platform(DockerLauncher(engine)) as running:
            found = running.deploy(chute_in(tmp_path, scenario, "127.0.0.1"))
            assert is_active(found), found.ended_because
            containers = client.containers.list(filters={"label": f"{LABEL}={engine._session}"})
            assert len(containers) == 2  # the other one is its relay
            next(each for each in containers if "runner.py" in str(each.attrs["Config"]["Entrypoint"])).kill()
            ended = running.wait_until_gone(found.instance_id)
            assert ended.state is InstanceState.GONE
            assert "exit code 137" in ended.ended_because
            # The first call asks for another instance.
            assert running.post("/echo", {"n": 2}).status_code == 503
            assert is_active(running.wait_until_settled(found.chute_id))
            assert running.post("/echo", {"n": 2}).status_code == 200
        assert client.networks.list(filters={"label": f"{LABEL}={engine._session}"}) == []
    finally:
        client.close()


def test_a_start_that_fails_is_recorded_with_the_containers_last_lines(
    engine: DockerEngine, scenario: Scenario
) -> None:
    code = HEAD.format(concurrency=1) + (
        "@chute.on_startup()\nasync def boot(self):\n    open('/etc/service.conf', 'w')\n"
        '@chute.cord(public_api_path="/fine")\ndef fine(self):\n    return "fine"\n'
    )
    with run_invocation_platform(DockerLauncher(engine)) as running:
        found = running.deploy(make_chute_record(code=code, image=scenario.image))
        assert found.state is InstanceState.GONE
        assert "it did not start: exit code 1" in found.ended_because
        assert "Permission denied: '/etc/service.conf'" in found.ended_because
        missing = running.deploy(make_chute_record(code=code, image="case-never-built:v1", version="v2"))
        assert missing.state is InstanceState.GONE
        assert "case-never-built:v1" in missing.ended_because


@pytest.mark.parametrize(
    ("service", "reason"),
    [
        ("import os\nos.chroot('/tmp')", "the platform's sandbox refuses chroot, to root as well"),
        ("import socket\nsocket.create_server(('', 8002))", "port 8002 belongs to the chute's attestation server"),
    ],
    ids=["chroot", "port 8002"],
)
def test_a_service_that_a_pod_refuses_is_diagnosed_by_its_name(
    engine: DockerEngine, scenario: Scenario, service: str, reason: str
) -> None:
    with run_invocation_platform(DockerLauncher(engine)) as running:
        found = running.deploy(make_chute_record(code=write_service(service), image=scenario.image))
        assert found.state is InstanceState.GONE
        diagnoses = diagnose(found.ended_because.splitlines())
        assert reason in diagnoses[0].reason, found.ended_because


def test_an_instance_that_writes_too_much_is_evicted_and_its_cache_is_the_next_ones(
    engine: DockerEngine, scenario: Scenario
) -> None:
    write = (
        "import os, time\nprint('found', os.listdir('/cache'), os.listdir('/tmp') and 'a log')\n"
        "for path, mib in [('/cache/model', 200), ('/tmp/half', 40), ('/app/half', 40)]:\n"
        "    open(path, 'wb').write(os.urandom(mib * 2**20))\nprint('written')\ntime.sleep(600)"
    )
    with run_invocation_platform(DockerLauncher(engine), disk_limit_bytes=64 * 2**20) as running:
        for version, found in (("v1", "found []"), ("v2", "found ['model']")):
            code = write_service(write)
            ended = running.deploy(make_chute_record(code=code, image=scenario.image, version=version))
            assert ended.state is InstanceState.GONE
            assert re.search(r"evicted: it wrote 0\.0[78]\d* GiB .* more than the 0.0625 GiB", ended.ended_because)
            running.wait_until_gone(ended.instance_id)
            assert found in running.log(ended.instance_id)


def write_service(program: str) -> str:
    """Return a module that starts a Python program as its service, from a file, as a service is."""
    start = f"printf %s {shlex.quote(program)} > /tmp/service.py && exec python3 -u /tmp/service.py"
    return HEAD.format(concurrency=1) + (
        "from tools.chute_wrappers import wait_for_services\n"
        f"ENTRYPOINT = {start!r}\n"
        "@chute.on_startup()\nasync def boot(self):\n    await wait_for_services([9090], timeout=60)\n"
        '@chute.cord(public_api_path="/fine")\ndef fine(self):\n    return "fine"\n'
    )


@pytest.mark.alone
def test_what_a_killed_emulator_leaves_is_removed_by_the_next_one(engine: DockerEngine) -> None:
    program = (
        "import sys\nfrom chutes_wrappers.host.container_engine.docker_engine import connect\n"
        "from chutes_wrappers.host.container_engine.engine import ContainerSpec\n"
        "engine = connect()\n"
        "spec = ContainerSpec(image=sys.argv[1], entrypoint=['sleep'], command=['600'])\n"
        "with engine.internal_network() as network, engine.run(spec) as container:\n"
        "    container.join_network(network)\n    print(network, flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, bases.image("python")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        network = process.stdout.readline().strip()
        process.kill()
    client = docker.from_env()
    try:
        assert [found.name for found in client.networks.list(names=[network])] == [network]
        connect().close()
        assert client.networks.list(names=[network]) == []
    finally:
        client.close()
