"""Compare what two checkouts do: ``python acceptance/compare_checkouts.py OLD_CHECKOUT [NEW_CHECKOUT]`` (this one by default).

Compares exit codes, JSON, manifests, the OpenAPI document, flags, the helpers' signatures and the names of variables. Sentences
may differ; they are counted. The old checkout is recorded twice: a key whose value differs between these two recordings is
measured or random, and only the type of its values is compared. Exit code 1: there is a difference.

Each recording runs in process and network namespaces of its own, by the Python that runs this script. That needs Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from acceptance.checkout_recording import record  # noqa: E402 - needs the path above
from acceptance.facts import EXIT_CODE  # noqa: E402

MAX_VALUE_LENGTH = 120

Facts = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Differences that a program notices, facts of which only the wording differs, and facts that are not stable."""

    differences: list[str]
    reworded: list[str]
    unstable: list[str]


def compare(old: Facts, again: Facts, new: Facts) -> Comparison:
    """Compare ``new`` with ``old``; ``again`` is another recording of the old checkout."""
    unstable = {name for name in old.keys() | again.keys() if name not in old or name not in again}
    measured = {_key_of(name) for name in old.keys() & again.keys() if old[name] != again[name]}
    differences: list[str] = []
    reworded: list[str] = []
    for name in sorted((old.keys() | new.keys()) - unstable):
        if name not in new:
            differences.append(f"missing: {name}")
        elif name not in old:
            differences.append(f"added: {name} = {new[name]!r}")
        elif type(old[name]) is not type(new[name]):
            differences.append(f"other type: {name}: {old[name]!r} → {new[name]!r}")
        elif old[name] != new[name] and _key_of(name) not in measured:
            change = f"{name}: {_shorten(old[name])} → {_shorten(new[name])}"
            (reworded if _is_sentence(old[name]) else differences).append(change)
    return Comparison(differences=differences, reworded=reworded, unstable=sorted(unstable | measured))


def find_uncovered(facts: Facts) -> list[str]:
    """Return the commands of which no command line succeeded."""
    succeeded = {name.split()[0] for name, value in facts.items() if name.endswith(f" / {EXIT_CODE}") and value == 0}
    return [verb for verb in str(facts["commands"]).split() if f"--{verb}" not in succeeded]


def _key_of(name: str) -> str:
    """The last key of a fact's name that is not an index; the whole name of a command's exit code."""
    keys = [key for key in name.split(" / ") if not key.isdecimal()]
    return name if keys[-1] in (EXIT_CODE, "stdout") else keys[-1]


def _is_sentence(value: object) -> bool:
    return isinstance(value, str) and " " in value


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}…"


def _record_apart(checkout: Path) -> dict[str, Any]:
    """Record in namespaces in which no other program listens."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    # A shell between: Python would be process 1.
    shell = [
        "sh",
        "-c",
        'ip link set lo up && "$@"; exit $?',
        "sh",
        sys.executable,
        __file__,
        "--record",
        str(checkout),
    ]
    argv = ["unshare", *user, "--pid", "--net", "--mount-proc", "--fork", "--kill-child", *shell]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def main() -> int:
    """Print the comparison; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, metavar="OLD_CHECKOUT")
    parser.add_argument("new", type=Path, metavar="NEW_CHECKOUT", nargs="?", default=ROOT)
    parser.add_argument("--record", action="store_true", help="print the facts of OLD_CHECKOUT, in this network")
    options = parser.parse_args()
    if options.record:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(record(options.old.resolve(), Path(folder))))
        return 0
    with ThreadPoolExecutor() as pool:
        old, again, new = pool.map(_record_apart, (options.old, options.old, options.new))
    result = compare(old, again, new)
    print(f"{len(result.differences)} differences:", *result.differences, sep="\n  ")
    print(f"{len(result.reworded)} reworded:", *result.reworded, sep="\n  ")
    print(f"{len(result.unstable)} compared by type only: {', '.join(result.unstable)}")
    uncovered = find_uncovered(new)
    print(f"{len(uncovered)} commands without a success: {', '.join(uncovered)}")
    print(f"{len(new)} facts of {len(str(new['commands']).split())} commands")
    return 1 if result.differences else 0


if __name__ == "__main__":
    sys.exit(main())
