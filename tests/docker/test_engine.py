"""Containers on a real engine: what they are given, what they show, and that nothing of them is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine, connect
from chutes_wrappers.host.container_engine.engine import ContainerSpec

from . import bases

pytestmark = pytest.mark.docker
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def image(engine: DockerEngine) -> str:
    return bases.image("python3-no-pip")


@pytest.fixture(scope="module")
def volume_image(engine: DockerEngine) -> str:
    """Files baked where volumes will be, and a VOLUME of its own."""
    return bases.built_from_scratch(
        "with-volume",
        f"FROM {bases.image('python3-no-pip')}\n"
        "RUN mkdir -p /cache/models /data && touch /cache/models/baked /tmp/baked /data/kept\nVOLUME /data\n",
        {},
    )


def shell(image: str, script: str, **more: object) -> ContainerSpec:
    return ContainerSpec(image=image, entrypoint=["/bin/sh", "-c"], command=[script], **more)  # type: ignore[arg-type]  # each test gives fields of the right types


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    found = docker.from_env()
    yield found
    found.close()


def test_both_streams_are_kept_as_lines_with_the_exit_code(engine: DockerEngine, image: str) -> None:
    script = "echo one; sleep 0.2; echo two >&2; sleep 0.2; printf 'b\\377d\\nunfinished'; exit 3"
    with engine.run(shell(image, script)) as container:
        assert container.wait(20) == 3
        assert container.read_exit_code() == 3
        assert list(container.stream_logs()) == ["one", "two", "b�d", "unfinished"]
        assert list(container.stream_logs(has_stderr=False)) == ["one", "b�d", "unfinished"]
        assert container.read_tail(2) == "b�d\nunfinished"


def test_logs_are_followed_in_a_thread_while_others_ask(engine: DockerEngine, image: str) -> None:
    seen: list[str] = []
    first = threading.Event()

    def follow() -> None:
        for line in container.stream_logs():
            seen.append(line)
            first.set()

    with engine.run(shell(image, "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done")) as container:
        reader = threading.Thread(target=follow)
        reader.start()
        assert first.wait(20)
        assert container.read_exit_code() is None
        assert container.execute(["sh", "-c", "id -u; exit 4"]).exit_code == 4
        with pytest.raises(WrapperError, match="still running"):
            container.wait(0.2)
        container.stop(5)
        reader.join(20)
        assert seen == ["up", "bye"]
        assert container.read_exit_code() == 0
        container.stop()
        with pytest.raises(WrapperError, match="not running"):
            container.execute(["true"])


def test_a_reader_that_stops_early_costs_nothing(engine: DockerEngine, image: str) -> None:
    with engine.run(shell(image, "while :; do echo again; sleep 0.01; done")) as container:
        lines = container.stream_logs()
        assert next(lines) == "again"
        lines.close()  # type: ignore[attr-defined]  # a generator, though the protocol promises only an iterator
        assert container.read_exit_code() is None


def test_a_service_is_reached_on_a_loopback_port_that_the_engine_chose(
    engine: DockerEngine, image: str, client: docker.DockerClient
) -> None:
    with engine.run(ContainerSpec(image=image, ports=[9090, 9191])) as container:
        assert container.host_ports.keys() == {9090, 9191}
        assert len(set(container.host_ports.values())) == 2
        bound = [bindings for found in client.containers.list() for bindings in found.ports.values() if bindings]
        mine = [bindings for bindings in bound if int(bindings[0]["HostPort"]) in container.host_ports.values()]
        assert [[binding["HostIp"] for binding in bindings] for bindings in mine] == [["127.0.0.1"]] * 2


def test_values_of_variables_reach_the_service_and_no_process_list(engine: DockerEngine, image: str) -> None:
    environment = {"TOKEN": "canary-4711", "ODD": "a=b\n$c"}
    with engine.run(shell(image, 'printf %s "$TOKEN$ODD"; exec sleep 60', environment=environment)) as container:
        assert container.execute(["printenv", "TOKEN"]).output == "canary-4711\n"
        assert container.execute(["printenv", "ODD"]).output == "a=b\n$c\n"
        listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert "canary-4711" not in listing


def test_the_container_runs_as_whom_and_where_it_was_told(engine: DockerEngine, image: str) -> None:
    spec = shell(image, "id -u; id -g; pwd; stat -fc %S*%b /dev/shm; grep -c : /proc/net/dev")
    spec = ContainerSpec(
        image=spec.image,
        entrypoint=spec.entrypoint,
        command=spec.command,
        user="1000:1000",
        working_dir="/srv",
        shm_bytes=2**24,
        network="none",
    )
    with engine.run(spec) as container:
        assert container.wait(20) == 0
        assert container.read_tail().splitlines() == ["1000", "1000", "/srv", "4096*4096", "1"]


def test_a_command_inside_runs_as_the_containers_user_or_as_asked(engine: DockerEngine, image: str) -> None:
    with engine.run(shell(image, "exec sleep 60", user="1000:1000")) as container:
        assert container.execute(["id", "-u"]).output == "1000\n"
        assert container.execute(["id", "-u"], user="0").output == "0\n"
        assert container.execute(["no-such-command"]).exit_code != 0


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exec yes", "printed more than 16 MiB"),
        ("while :; do echo again; sleep 0.1; done", "still runs after 1 s"),
        ("exec sleep 60", "still runs after 1 s"),
    ],
)
def test_a_program_of_the_image_that_never_ends_is_left_after_a_timeout(
    engine: DockerEngine, image: str, script: str, reason: str
) -> None:
    with engine.run(shell(image, "exec sleep 60")) as container:
        with pytest.raises(WrapperError, match=reason):
            container.execute(["sh", "-c", script], timeout_s=1 if "16" not in reason else 60)
        assert container.execute(["echo", "next"], timeout_s=60).output == "next\n"


def test_empty_volumes_hide_the_image_and_belong_to_everybody(engine: DockerEngine, volume_image: str) -> None:
    script = "ls -A /tmp /cache; stat -c %a /tmp /cache /new; touch /tmp/x /cache/x /new/x && echo written"
    spec = shell(volume_image, script, user="1000:1000", empty_volumes=["/tmp", "/cache", "/new"])
    for _ in range(2):  # the second finds them as fresh as the first
        with engine.run(spec) as container:
            assert container.wait(20) == 0
            assert container.read_tail().splitlines() == ["/cache:", "", "/tmp:", "1777", "1777", "1777", "written"]


def test_a_folder_of_this_machine_can_be_mounted(engine: DockerEngine, image: str, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_text("weights")
    with engine.run(shell(image, "cat /models/model.bin", volumes=[f"{tmp_path}:/models:ro"])) as container:
        assert container.wait(20) == 0
        assert container.read_tail() == "weights"


def test_what_the_service_changed_is_told_with_the_folders_above(engine: DockerEngine, image: str) -> None:
    script = "mkdir -p /srv/new && echo x >/srv/new/file && echo x >>/etc/motd && rm /etc/issue && rm -f /etc/none"
    with engine.run(shell(image, script)) as container:
        assert container.wait(20) == 0
        assert {
            ("changed", "/srv"),
            ("added", "/srv/new"),
            ("added", "/srv/new/file"),
            ("changed", "/etc"),
            ("changed", "/etc/motd"),
            ("deleted", "/etc/issue"),
        } <= set(container.list_changed_paths())


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"entrypoint": ["/no/such/program"]}, "/no/such/program"),
        ({"volumes": ["::"]}, "volume"),
        ({"network": "no-such-network"}, "no-such-network"),
        ({"user": "nobody-there"}, "nobody-there"),
        ({"gpus": "all"}, "device driver"),
    ],
)
def test_what_the_engine_refuses_names_the_image_and_the_reason(
    engine: DockerEngine, image: str, spec: dict[str, object], words: str
) -> None:
    if "gpus" in spec and Path("/dev/nvidia0").exists():
        pytest.skip("this machine has a GPU")
    with (
        pytest.raises(WrapperError, match=words) as caught,
        engine.run(ContainerSpec(image=image, empty_volumes=["/tmp"], **spec)),  # type: ignore[arg-type]  # a field each
    ):
        pytest.fail("it runs")
    assert caught.value.where == image


def test_an_image_that_nobody_has_cannot_run(engine: DockerEngine) -> None:
    with (
        pytest.raises(WrapperError, match="no such image"),
        engine.run(ContainerSpec(image="cw-test/none:none")),
    ):
        pytest.fail("it runs")


@pytest.mark.parametrize("reference", ["", "Not Valid", "localhost:1/none:v1", "localhost:1/none@sha256:" + "0" * 64])
def test_an_image_that_cannot_be_had_is_named(engine: DockerEngine, reference: str) -> None:
    with pytest.raises(WrapperError) as caught:
        engine.inspect_image(reference)
    assert caught.value.where == reference
    assert caught.value.next_step


def test_files_of_an_image_are_read_without_running_it(engine: DockerEngine, image: str) -> None:
    with engine.open_files(image) as files:
        assert files.read("/etc/os-release") == files.read("/usr/lib/os-release")  # a link in Debian
        assert (files.read("/lib/x86_64-linux-gnu/libc.so.6") or b"").startswith(b"\x7fELF")
        assert files.exists("/etc")
        assert files.exists("/usr/bin/python3")
        assert not files.exists("/no/such/file")
        for path in ("/etc", "/dev", "/no/such/file"):
            assert files.read(path) is None


@pytest.mark.alone
@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_everything_is_gone_after_a_fault_in_the_middle(
    engine: DockerEngine, volume_image: str, client: docker.DockerClient, fault: type[BaseException]
) -> None:
    before = {volume.name for volume in client.volumes.list()}
    during: set[str | None] = set()
    with pytest.raises(fault), engine.run(shell(volume_image, "exec sleep 60", empty_volumes=["/tmp"])):  # noqa: PT012  # the fault comes after a look
        during = {volume.name for volume in client.volumes.list()}
        raise fault
    # Ours and the image's own VOLUME. That no container is left, the fixture of this folder checks.
    assert len(during - before) >= 2
    assert not (during - before) & {volume.name for volume in client.volumes.list()}


PROGRAM = """
import sys
from chutes_wrappers.host.container_engine.docker_engine import connect
from chutes_wrappers.host.container_engine.engine import ContainerSpec

engine = connect(lambda line: print(line, flush=True))
spec = ContainerSpec(image=sys.argv[1], entrypoint=["sleep"], command=["60"], empty_volumes=["/tmp"])
with engine.run(spec) as container:
    print("running", flush=True)
    container.wait(60)
"""


def test_ctrl_c_leaves_nothing(engine: DockerEngine, image: str) -> None:
    with program(image) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) != 0


@pytest.mark.alone
def test_what_a_killed_process_leaves_is_removed_by_the_next_command(engine: DockerEngine, image: str) -> None:
    with program(image) as process:
        process.kill()
        process.wait(30)
    output_text: list[str] = []
    connect(output_text.append).close()
    assert len([line for line in output_text if "killed process left behind" in line]) == 1


def program(image: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, image],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    return process


def test_a_container_can_be_kept_from_the_ports_that_an_instance_cannot_bind(engine: DockerEngine, image: str) -> None:
    bind = "exec python3 -c 'import socket; socket.create_server((\"\", 80))'"
    for sysctls, code in [({}, 0), ({"net.ipv4.ip_unprivileged_port_start": "1024"}, 1)]:
        with engine.run(shell(image, bind, user="1000:1000", sysctls=sysctls)) as container:
            assert container.wait(20) == code
            assert code == 0 or "Permission denied" in container.read_tail()
