"""Known vulnerabilities of the tested packages: ``python acceptance/audit.py [CONSTRAINTS…]``.

pip-audit reports a package without data as "skipped", and succeeds even if it skips all of them. Here only audited packages count.
Exit code 0: every package was audited, and none has a known vulnerability.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parents[1] / "constraints"
_TIMEOUT_S = 1800


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The result of one run of pip-audit: audited, vulnerable and skipped packages, with their versions."""

    audited: Sequence[str]
    vulnerable: Sequence[str]
    skipped: Sequence[str]
    failure: str = ""

    @property
    def is_good(self) -> bool:
        """Whether there were audited packages, none was skipped, and none is vulnerable."""
        return bool(self.audited) and not (self.vulnerable or self.skipped or self.failure)

    def lines(self) -> list[str]:
        """Format the result as lines, the verdict first."""
        total = len(self.audited) + len(self.skipped)
        if not self.audited:
            return [f"not run: 0 of {total} packages were audited", *filter(None, [self.failure]), *self.skipped[:3]]
        verdict = f"{len(self.audited)} of {total} packages audited, {len(self.vulnerable)} with known vulnerabilities"
        skipped = (f"not audited: {reason}" for reason in self.skipped)
        return [verdict, *self.vulnerable, *skipped, *filter(None, [self.failure])]


def parse_audit(output: str, errors: str, *, pinned: int) -> Audit:
    """Parse the output of ``pip-audit --format json``; without JSON, as after a failed connection, the audit is empty.

    Of ``pinned`` packages pip-audit omits those whose markers do not match this Python, without a message.
    """
    try:
        dependencies = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = errors.strip().rpartition("\n")[2] or "pip-audit printed no result"
        return Audit(audited=(), vulnerable=(), skipped=(), failure=last)
    audited = [each for each in dependencies if "vulns" in each]
    missing = pinned - len(dependencies)
    return Audit(
        failure=f"pip-audit omitted {missing} of {pinned} packages" if missing else "",
        audited=[f"{each['name']} {each['version']}" for each in audited],
        vulnerable=[
            _describe_package(each["name"], each["version"], each["vulns"]) for each in audited if each["vulns"]
        ],
        skipped=[
            f"{each['name']}: {each.get('skip_reason', 'no reason')}" for each in dependencies if each not in audited
        ],
    )


def _describe_package(name: str, version: str, vulnerabilities: Sequence[dict[str, list[str]]]) -> str:
    known = (f"{each['id']} (fixed in {', '.join(each['fix_versions']) or 'no version'})" for each in vulnerabilities)
    return f"{name} {version}: {', '.join(known)}"


def audit(constraints: Path) -> Audit:
    """Audit exactly the versions that ``constraints`` pins."""
    argv = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"]
    argv += ["--no-deps", "--disable-pip", "--requirement", str(constraints)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    lines = constraints.read_text(encoding="utf-8").splitlines()
    return parse_audit(done.stdout, done.stderr, pinned=sum("==" in line.partition("#")[0] for line in lines))


def main(arguments: Sequence[str]) -> int:
    """Audit each file of ``arguments``, by default all of constraints/; return 1 unless every audit is good."""
    files = [Path(name) for name in arguments] or sorted(CONSTRAINTS.glob("*.txt"))
    results = {file.name: audit(file) for file in files}
    for name, result in results.items():
        print(*(f"{name}: {line}" for line in result.lines()), sep="\n")
    return 0 if results and all(result.is_good for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
