"""Inspection of real images, and of what real services wrote."""

from __future__ import annotations

import subprocess

import pytest

from chutes_wrappers.core.errors import UnsupportedImage
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from chutes_wrappers.host.container_engine.engine import ContainerSpec
from chutes_wrappers.host.forge_losses import describe_losses
from chutes_wrappers.host.inspection import describe_concerns, find_writable_paths, inspect_image

from . import bases

pytestmark = pytest.mark.docker


LOSING = """FROM {base}
RUN mkdir -p /opt/own/engine /usr/lib/python3/dist-packages/vendor && cd /opt/own/engine && touch __init__.py run.py \
 && python3 -m compileall -q -b . && rm *.py && cp run.pyc /usr/lib/python3/dist-packages/vendor/__init__.pyc \
 && echo /lib/b.so >/etc/ld.so.preload
ENV LD_PRELOAD=/lib/x86_64-linux-gnu/libm.so.6
"""


def test_what_the_forge_removes_from_a_real_image_is_named(engine: DockerEngine) -> None:
    base = bases.image("python3-no-pip")
    assert describe_losses(engine, base, LaunchSpec(), {}) == ()
    reference = bases.built_from_scratch("losing", LOSING.format(base=base), {})
    preloads, bytecode = describe_losses(engine, reference, inspect_image(engine, reference), {})
    assert "the image preloads /lib/x86_64-linux-gnu/libm.so.6 (LD_PRELOAD), /lib/b.so (/etc/ld.so.preload)" in preloads
    assert "/opt/own/engine (2 files), /usr/lib/python3/dist-packages/vendor (1 file): the forge deletes" in bytecode


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("python3-no-pip", {"cmd": ("python3", "/srv/echo/service.py"), "home": "/root"}),
        ("no-python", {"cmd": ("/bin/sh", "-c", "perl /srv/serve.pl"), "exposed_ports": (9090,)}),
        ("trixie", {"user": "", "working_dir": "/"}),
        ("uid-1000-taken", {"user": "ubuntu", "home": "/home/ubuntu"}),
        ("other-user", {"user": "app", "home": "/home/app", "working_dir": "/home/app"}),
        ("root-workdir", {"user": "", "working_dir": "/srv/data"}),
        ("entrypoint-script", {"entrypoint": ("start.sh",), "working_dir": "/opt/vendor"}),
    ],
)
def test_a_real_image_is_described_as_it_runs(engine: DockerEngine, name: str, expected: dict[str, object]) -> None:
    reference = bases.image(name)
    spec = inspect_image(engine, reference)
    assert {key: getattr(spec, key) for key in expected} == expected
    assert spec.reference == reference
    assert spec.digest.startswith("sha256:")
    assert spec.environment["PATH"]


def test_shell_form_volumes_and_health_checks_survive_a_real_build(engine: DockerEngine) -> None:
    reference = bases.built_from_scratch(
        "described",
        f"FROM {bases.image('python3-no-pip')}\n"
        "ENTRYPOINT exec python3 /srv/echo/service.py\nVOLUME /data\nEXPOSE 80 53/udp\nENV HOME=/data\n"
        "HEALTHCHECK CMD curl -f http://localhost:9090/health\nUSER 4711:4711\n",
        {},
    )
    spec = inspect_image(engine, reference)
    assert spec.entrypoint == ("/bin/sh", "-c", "exec python3 /srv/echo/service.py")
    assert spec.cmd == ()
    assert (spec.user, spec.home, spec.volumes) == ("4711:4711", "/data", ("/data",))
    assert spec.exposed_ports == (80, 9090)
    assert spec.health_check == ("CMD-SHELL", "curl -f http://localhost:9090/health")
    concerns = "\n".join(describe_concerns(spec))
    assert "4711" in concerns
    assert "/data" in concerns
    assert "port 80" in concerns


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("python3-no-pip", ()),
        ("root-workdir", ("/srv/data",)),
        ("writes-root-home", ("/root/.cache",)),
        ("other-user", ("/home/app/state",)),
        ("vendor-app-tools", ("/app",)),
    ],
)
def test_what_a_real_service_wrote_is_found(engine: DockerEngine, name: str, expected: tuple[str, ...]) -> None:
    with engine.run(ContainerSpec(image=bases.image(name))) as container:
        assert any("echo service listens" in line for line in container.stream_logs())
        assert find_writable_paths(container.list_changed_paths()) == expected


def test_a_file_that_was_replaced_is_writable_and_its_folder_only_if_it_is_not_the_systems(
    engine: DockerEngine,
) -> None:
    script = "sed -i s/Debian/debian/ /etc/issue; sed -i s/force/no-force/ /etc/dpkg/dpkg.cfg.d/image"
    spec = ContainerSpec(image=bases.image("python3-no-pip"), entrypoint=["/bin/sh", "-c"], command=[script])
    with engine.run(spec) as container:
        assert container.wait(20) == 0
        assert find_writable_paths(container.list_changed_paths()) == (
            *("/etc/dpkg/dpkg.cfg.d", "/etc/dpkg/dpkg.cfg.d/image", "/etc/issue"),
        )


@pytest.mark.parametrize(
    ("name", "dockerfile", "files", "reason"),
    [
        ("no-shell", "FROM scratch\nCOPY hello /hello\nCMD [\"/hello\"]\n", {"hello": "x"}, "no shell"),
        ("musl", "FROM scratch\nCOPY x /bin/sh\nCOPY x /lib/ld-musl-x86_64.so.1\n", {"x": "x"}, "musl"),
        (
            "no-python-no-apt",
            "FROM scratch\nCOPY x /bin/sh\nCOPY libc /lib64/libc.so.6\n",
            {"x": "x", "libc": "GNU C Library (GNU libc) stable release version 2.39.\n"},
            "neither Python",
        ),
    ],
)  # fmt: skip
def test_a_real_image_that_can_never_run_is_refused(
    engine: DockerEngine, name: str, dockerfile: str, files: dict[str, str], reason: str
) -> None:
    reference = bases.built_from_scratch(name, dockerfile, files)
    with pytest.raises(UnsupportedImage, match=reason) as caught:
        inspect_image(engine, reference)
    assert caught.value.where == reference


@pytest.mark.exhaustive
def test_debian_11_is_refused_for_its_c_library(engine: DockerEngine) -> None:
    try:
        reference = bases.image("bullseye")
    except subprocess.CalledProcessError:
        pytest.skip("the archive has no Debian 11 any more; test_refusals.py has a likeness of it")
    with pytest.raises(UnsupportedImage, match=r"glibc is 2\.31.* 2\.34") as caught:
        inspect_image(engine, reference)
    assert caught.value.where == reference
    assert "Debian 12" in str(caught.value.next_step)
