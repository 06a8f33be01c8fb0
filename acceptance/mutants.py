"""A random sample of mutants of ``core`` and ``runtime``, each tested with the mirrored tests of its module.

    pip install "cosmic-ray>=8.7,<9"
    python acceptance/mutants.py --seed 11 --count 500 --report mutants.jsonl
    python acceptance/mutants.py --survivors mutants.jsonl --report again.jsonl

A mutant that no test detects survives: it shows a gap in the tests of its module. The mirrored tests of ``runtime/process_tree.py``
are ``tests/runtime/test_process_tree.py`` and ``test_process_tree_*.py``; a module without such a file has none.

The tests run in a copy of the tree, in separate process and network namespaces, so that a mutant cannot signal other processes.
That needs Linux and ``unshare``. A mutant takes a few seconds.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from acceptance.forked_tests import ForkedTests  # noqa: E402 - needs the path above

try:
    from acceptance.mutations import Mutant, sample_mutants
except ModuleNotFoundError as missing:
    raise SystemExit(f'{missing}. Install Cosmic Ray first: pip install "cosmic-ray>=8.7,<9"') from None

LAYERS = ("core", "runtime")
_MIN_TIMEOUT_S = 30.0
_MAX_TESTS_S = 600.0
_IGNORED = shutil.ignore_patterns(".*", "__pycache__", "*.log")
NO_TEST = "no mirrored test"


class MutationBench:
    """A copy of the tree, in which one module at a time is mutated. A context manager."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tree"
        shutil.copytree(ROOT, self.root, ignore=_IGNORED, symlinks=True)
        self._tests = ForkedTests(self.root)
        self._timeouts_s: dict[str, float | str] = {}
        self._changes = int(time.time())

    def __enter__(self) -> MutationBench:
        self._tests.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tests.__exit__(kind, failure, trace)

    def test_mutant(self, mutant: Mutant) -> str:
        """Test a mutant; return ``killed``, ``survived``, ``timeout``, ``no mirrored test``, or why there is no result."""
        tests = find_mirrored_tests(self.root, mutant.module)
        if not tests:
            return NO_TEST
        if mutant.module not in self._timeouts_s:
            self._timeouts_s[mutant.module] = self._measure_timeout_s(mutant.module, tests)
        timeout_s = self._timeouts_s[mutant.module]
        if isinstance(timeout_s, str):
            return timeout_s
        mutated = mutant.source(self.root)
        assert mutated is not None, mutant
        code = self._test_with(mutant.module, mutated, tests, timeout_s)
        return "timeout" if code is None else "killed" if code else "survived"

    def _measure_timeout_s(self, module: str, tests: Sequence[str]) -> float | str:
        """Return a multiple of the tests' time with the unchanged module.

        Returns a text if they fail with it, or pass with a broken module.
        """
        source = (self.root / module).read_text(encoding="utf-8")
        start = time.monotonic()
        if self._test_with(module, source, tests, _MAX_TESTS_S) != 0:
            return "tests fail without a mutant"
        taken_s = time.monotonic() - start
        if self._test_with(module, "raise RuntimeError\n", tests, _MAX_TESTS_S) == 0:
            return "tests do not import the module"
        return _MIN_TIMEOUT_S + 4 * taken_s

    def _test_with(self, module: str, source: str, tests: Sequence[str], timeout_s: float) -> int | None:
        original = (self.root / module).read_bytes()
        self._write(module, source.encode())
        try:
            return self._tests.run_tests(tests, timeout_s)
        finally:
            self._write(module, original)

    def _write(self, module: str, source: bytes) -> None:
        """Write a module with a new modification time: Python compares seconds to detect outdated compiled files."""
        self._changes += 1
        (self.root / module).write_bytes(source)
        os.utime(self.root / module, (self._changes, self._changes))


def find_mirrored_tests(root: Path, module: str) -> tuple[str, ...]:
    """Find the test files of ``module`` below ``root``: ``test_<module>.py``, and ``test_<module>_<part>.py``.

    A file that mirrors another module is not one of them.
    """
    path = Path(module)
    tests = root.joinpath("tests", *path.parts[1:-1])
    others = {f"test_{other.stem}" for other in (root / path).parent.glob("*.py")} - {f"test_{path.stem}"}
    candidates = [tests / f"test_{path.name}", *tests.glob(f"test_{path.stem}_*.py")]
    return tuple(
        sorted(str(file.relative_to(root)) for file in candidates if file.is_file() and file.stem not in others)
    )


def _find_modules(root: Path) -> list[str]:
    paths = (path for layer in LAYERS for path in (root / "chutes_wrappers" / layer).rglob("*.py"))
    return sorted(str(path.relative_to(root)) for path in paths if path.name != "__init__.py")


def _describe(root: Path, mutant: Mutant) -> dict[str, Any]:
    """Return the mutant with its change, as lines of a diff without the header."""
    original = (root / mutant.module).read_text(encoding="utf-8").splitlines()
    changed = (mutant.source(root) or "").splitlines()
    change = list(difflib.unified_diff(original, changed, lineterm="", n=0))[3:]
    return {**asdict(mutant), "change": change}


def _read_survivors(root: Path, report: Path) -> Iterator[Mutant]:
    """Yield the survivors of an earlier report; skip and print a mutant whose source has changed since."""
    for line in report.read_text(encoding="utf-8").splitlines():
        former = json.loads(line)
        if former.pop("outcome") in ("killed", "timeout"):
            continue
        change = former.pop("change")
        mutant = Mutant(**former)
        if (root / mutant.module).is_file() and _describe(root, mutant)["change"] == change:
            yield mutant
        else:
            print(f"skipped, because its source has changed: {mutant.module}:{mutant.line} {change}", file=sys.stderr)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=11, help="seed of the sample [11]")
    parser.add_argument("--count", type=int, default=500, help="number of mutants [500]")
    parser.add_argument(
        "--report", type=Path, required=True, help="file for the results, one JSON line for each mutant"
    )
    parser.add_argument(
        "--survivors", type=Path, metavar="REPORT", help="test the survivors of an earlier report instead"
    )
    return parser.parse_args()


def main() -> None:
    options = _parse_arguments()
    # A shell starts background processes with SIGINT ignored, and the tests would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    outcomes: Counter[str] = Counter()
    with (
        tempfile.TemporaryDirectory(prefix="mutants-") as folder,
        MutationBench(Path(folder)) as bench,
        options.report.open("w", encoding="utf-8") as report,
    ):
        if options.survivors:
            mutants = list(_read_survivors(bench.root, options.survivors))
        else:
            mutants = sample_mutants(bench.root, _find_modules(bench.root), count=options.count, seed=options.seed)
        for number, mutant in enumerate(mutants, start=1):
            described = _describe(bench.root, mutant)
            outcome = bench.test_mutant(mutant)
            outcomes[outcome] += 1
            report.write(json.dumps({**described, "outcome": outcome}) + "\n")
            report.flush()
            print(f"{number}/{len(mutants)} {outcome}: {mutant.module}:{mutant.line} {mutant.operator}", flush=True)
    print(", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()))


if __name__ == "__main__":
    main()
