"""``./deploy.sh --help`` compared with ``chutes --help``: the median of several runs each, and their ratio."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def measure_median_s(argv: list[str], runs: int = 7) -> float:
    """Measure the median seconds of a command, after one run that warms the disk's cache."""
    seconds = []
    for _ in range(runs + 1):
        started = time.monotonic()
        subprocess.run(argv, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.monotonic() - started)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    ours = measure_median_s(["./deploy.sh", "--help"])
    theirs = measure_median_s([str(Path(sys.executable).parent / "chutes"), "--help"])
    print(f"deploy.sh --help {ours:.3f} s, chutes --help {theirs:.3f} s: ratio {ours / theirs:.2f} (aim: at most 0.25)")
