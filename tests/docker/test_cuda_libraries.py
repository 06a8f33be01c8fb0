"""CUDA's libraries that pip has brought into an image: found by every program only with the recipe's option."""

from __future__ import annotations

from pathlib import Path

import pytest

from chutes_wrappers.core import layout
from chutes_wrappers.core.manifest import load_manifest
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from chutes_wrappers.host.container_engine.engine import ContainerSpec
from tests.scenario import run_command

from . import bases

pytestmark = pytest.mark.docker
SITE = "/opt/vendor/lib/python3.11/site-packages"
RUNTIME = f"{SITE}/nvidia/cuda_runtime"
# What nvidia-cuda-runtime-cu12 and torch bring, made by gcc; and a program that is linked to it without a search path.
DOCKERFILE = rf"""FROM {{echo}}
RUN python3 -m venv --without-pip /opt/vendor && mkdir -p {RUNTIME}/lib {RUNTIME}/include {SITE}/torch \
 && echo 'int cuda(void) {{{{ return 124; }}}}' >/tmp/library.c \
 && gcc -shared -fPIC -Wl,-soname,libcudart.so.12 -o {RUNTIME}/lib/libcudart.so.12 /tmp/library.c \
 && echo 'int cuda(void); int main(void) {{{{ return cuda() != 124; }}}}' >/tmp/main.c \
 && gcc -o /usr/local/bin/linked /tmp/main.c {RUNTIME}/lib/libcudart.so.12 \
 && echo '#define CUDART_VERSION  12040' >{RUNTIME}/include/cuda_runtime_api.h \
 && echo "cuda: Optional[str] = '12.4'" >{SITE}/torch/version.py
CMD ["/opt/vendor/bin/python", "/srv/echo/service.py"]
"""
# The step of the recipe alone, on an image with the Python that the steps before it install.
STEP = f"""FROM {{base}}
RUN python3 -m venv --without-pip {layout.BAKED_VENV}
COPY cuda_libraries.sh {layout.BAKED_RECIPE}/
RUN /bin/sh {layout.BAKED_RECIPE}/cuda_libraries.sh
"""
RECIPE = (bases.ROOT / "chutes_wrappers" / "sdk" / "recipe" / "cuda_libraries.sh").read_text()
USE = """linked && python3 -c 'import ctypes; assert ctypes.CDLL("libcudart.so.12").cuda() == 124' && echo both found it"""
SCRIPT = f"/bin/sh {layout.BAKED_RECIPE}/cuda_libraries.sh"
# As root in the built image: other configurations of the linker, an image without the packages, and one without ldconfig.
VARIANTS = f"""
rm -r /etc/ld.so.conf /etc/ld.so.conf.d && ldconfig && {{ linked 2>/dev/null && exit 11; }}
{SCRIPT} && {USE}
printf 'include /etc/other/*.conf' >/etc/ld.so.conf && {SCRIPT} && {USE}
mv {SITE}/nvidia /tmp/ && {SCRIPT}
rm "$(command -v ldconfig)" && if {SCRIPT}; then exit 12; fi
"""


def make_base() -> str:
    return bases.built_from_scratch("cuda-packages", DOCKERFILE.format(echo=bases.image("echo")), {})


def run_shell(engine: DockerEngine, image: str, command: str, user: str = "1000:1000") -> tuple[int, str]:
    spec = ContainerSpec(image=image, entrypoint=["sh", "-euc"], command=[command], user=user)
    with engine.run(spec) as container:
        return container.wait(60), container.read_tail()


def test_create_warns_and_sets_the_option(engine: DockerEngine, tmp_path: Path) -> None:
    base = make_base()
    created = run_command("--create", base, "--name", "case-cuda", cwd=tmp_path)
    assert created.returncode == 0, created.stderr
    warning = (
        f"the image has CUDA 12.4 (torch in {SITE}); the platform's GPU, pro_6000 (Blackwell), needs 12.8 or newer"
    )
    assert warning in " ".join((created.stdout + created.stderr).split())
    module = tmp_path / "deploy_case_cuda.py"
    assert "cuda_libraries=True" in module.read_text()
    launch = load_manifest(module.with_suffix(".routes.json")).image
    assert launch is not None
    assert launch.cuda_version == "12.4"

    code, printed = run_shell(engine, base, USE)
    assert (code, "libcudart.so.12" in printed) == (127, True)


def test_every_program_finds_the_libraries_after_the_step(engine: DockerEngine) -> None:
    image = bases.built_from_scratch("cuda-registered", STEP.format(base=make_base()), {"cuda_libraries.sh": RECIPE})
    code, printed = run_shell(engine, image, USE)
    assert (code, printed.strip()) == (0, "both found it")
    code, printed = run_shell(engine, image, VARIANTS, user="0")
    assert code == 0, printed
    assert printed.count("both found it") == 2
    assert "cuda_libraries=True has no effect: no package in this image has CUDA's libraries" in printed
    assert "cuda_libraries=True needs ldconfig, which this image lacks" in printed
