"""What the recipe adds to a base image, compared with a plain recipe: bytes, seconds cold, seconds after a change of the module.

usage: python benchmarks/image.py BASE_IMAGE   (a Debian or Ubuntu image with a PATH; needs a Docker engine)
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from chutes_wrappers.core.launch_spec import LaunchSpec  # noqa: E402 - needs the path above
from chutes_wrappers.core.manifest import Manifest  # noqa: E402
from chutes_wrappers.host import processes  # noqa: E402
from chutes_wrappers.host.modules.module_facts import read_module  # noqa: E402
from chutes_wrappers.host.staging import Stage, create_stage  # noqa: E402

# The package list of the first version, written in the simplest way: development packages, recommends, one venv, the SDK.
PLAIN = """
FROM {base}
USER root
RUN apt-get update && apt-get install -y build-essential cmake git curl wget clinfo ocl-icd-opencl-dev opencl-headers \\
    libclblast-dev libopenmpi-dev openmpi-bin python3 python3-dev python3-pip python3-venv
RUN useradd -m -u 1000 chutes
RUN python3 -m venv /opt/plain && /opt/plain/bin/pip install uv && /opt/plain/bin/pip install chutes=={sdk}
"""
MODULE = """
from chutes.chute import Chute, NodeSelector
from tools.chute_wrappers import build_wrapper_image, chutes_username
CHUTE_NAME, CHUTE_TAG, CHUTE_BASE_IMAGE, SERVICE_PORTS = "bench-{extent}", "v1", "{base}", [9090]
USERNAME = chutes_username()
image = build_wrapper_image(USERNAME, CHUTE_NAME, CHUTE_TAG, CHUTE_BASE_IMAGE, slim={slim})
chute = Chute(
    username=USERNAME, name=CHUTE_NAME, image=image,
    tee=True, node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),
)
"""


def run(argv: list[str], stage: Stage | None = None) -> float:
    """Run a command and return its seconds; ends the benchmark if it fails."""
    started = time.monotonic()
    environment = dict(stage.environment) if stage else None
    done = subprocess.run(
        argv, cwd=stage.folder if stage else None, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(argv)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return time.monotonic() - started


def size_of(image: str) -> int:
    """Return the bytes of an image."""
    argv = ["docker", "image", "inspect", "-f", "{{.Size}}", image]
    return int(processes.capture(argv, environment={"PATH": "/usr/bin:/usr/local/bin:/bin"}, directory=ROOT).output)


def build_wrapped(base: str, *, slim: bool) -> tuple[int, float, float]:
    """Build the wrapped image; return added bytes, seconds cold, seconds after a change of the module."""
    extent = "slim" if slim else "full"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deploy_bench.py"
        path.write_text(MODULE.format(base=base, slim=slim, extent=extent))
        manifest = Manifest(image=LaunchSpec(reference=base, cmd=("sleep", "1"), working_dir="/srv"))
        with create_stage(read_module(path), manifest, username="bench") as stage:
            argv = [str(Path(sys.executable).parent / "chutes"), "build", stage.reference, "--local"]
            cold = run(argv, stage)
            (stage.folder / "deploy_bench.py").open("a").write("# edited\n")
            again = run(argv, stage)
    return size_of(f"bench-{extent}:v1") - size_of(base), cold, again


def build_plain(base: str) -> tuple[int, float]:
    """Build the plain image; return added bytes and seconds cold."""
    from importlib.metadata import version

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Dockerfile").write_text(PLAIN.format(base=base, sdk=version("chutes")))
        cold = run(["docker", "build", "--no-cache", "-t", "bench-plain:v1", folder])
    return size_of("bench-plain:v1") - size_of(base), cold


def make_uncached_base(base: str) -> str:
    """Make a copy of the image with a new identity, so that no layer on top of it is cached."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Dockerfile").write_text(f"FROM {base}\nLABEL benchmark={time.time_ns()}\n")
        run(["docker", "build", "-t", "bench-base:v1", folder])
    return "bench-base:v1"


def main() -> None:
    """Print one row for each recipe."""
    base = make_uncached_base(sys.argv[1])
    plain_bytes, plain_cold = build_plain(base)
    print(f"{'recipe':8} {'MB added':>9} {'of plain':>9} {'s cold':>7} {'s edited module':>16}")
    print(f"{'plain':8} {plain_bytes / 1e6:9.0f} {'100%':>9} {plain_cold:7.0f} {'':>16}")
    for slim in (False, True):
        added, cold, again = build_wrapped(base, slim=slim)
        name = "slim" if slim else "default"
        print(f"{name:8} {added / 1e6:9.0f} {added / plain_bytes:9.0%} {cold:7.0f} {again:16.1f}")


if __name__ == "__main__":
    main()
