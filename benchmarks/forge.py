"""What the forge's stages cost on a wrapped image: seconds of each stage without a cache, and the bytes that they add.

usage: python benchmarks/forge.py IMAGE…   (images of --build --local; needs Docker's command line)
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from chutes_wrappers.host import processes  # noqa: E402 - needs the path above
from chutes_wrappers.host.forge_stages import STAGES, build_forge_image, find_stage, make_forge_reference  # noqa: E402

UNCACHED = "bench-forge:v1"


def run(*arguments: str, folder: Path = ROOT, on_line: Callable[[str], None] = lambda line: None) -> None:
    """Run ``docker`` with ``arguments``; ends the benchmark if it fails."""
    if processes.stream(["docker", *arguments], environment=os.environ, directory=folder, on_line=on_line) != 0:
        sys.exit(f"docker {' '.join(arguments)} failed")


def size_of(image: str) -> int:
    """Return the bytes of an image."""
    argv = ["docker", "image", "inspect", "-f", "{{.Size}}", image]
    return int(processes.capture(argv, environment=os.environ, directory=ROOT).output)


def measure(image: str) -> tuple[dict[str, float], float, int]:
    """Build the stages on a copy of ``image``; return seconds from each stage's start to the next, all seconds, and bytes."""
    starts: dict[str, float] = {}

    def note_stage(line: str) -> None:
        if stage := find_stage(line):
            starts[stage.name] = time.monotonic()

    def build(folder: Path, reference: str, has_network: bool, on_line: Callable[[str], None]) -> None:
        network = [] if has_network else ["--network", "none"]
        run("build", "--no-cache", "--force-rm", *network, "-t", reference, ".", folder=folder, on_line=on_line)

    run("image", "tag", image, UNCACHED)
    try:
        started = time.monotonic()
        build_forge_image(UNCACHED, build, note_stage)
        ended = time.monotonic()
        added = size_of(make_forge_reference(UNCACHED)) - size_of(image)
    finally:
        run("image", "rm", make_forge_reference(UNCACHED), UNCACHED)
    times = [*starts.values(), ended]
    seconds = {name: times[index + 1] - starts[name] for index, name in enumerate(starts)}
    return seconds, ended - started, added


def main() -> None:
    """Print one row for each image."""
    print(f"{'image':34} {'seconds':>7} {'MB added':>8}  " + "  ".join(stage.name for stage in STAGES))
    for image in sys.argv[1:]:
        seconds, total, added = measure(image)
        stages = "  ".join(f"{seconds[stage.name]:{len(stage.name)}.1f}" for stage in STAGES)
        print(f"{image:34} {total:7.1f} {added / 1e6:8.1f}  {stages}")


if __name__ == "__main__":
    main()
