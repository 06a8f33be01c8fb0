"""The README's commands, and a terminal that runs them unchanged."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pexpect

from docs.record import DROPPED_VARIABLES
from tests.scenario import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
LONGEST_S = 400


def find_commands(text: str = README) -> list[str]:
    """Find every command of the shell blocks, without trailing comments."""
    commands = []
    for block in re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S):
        lines = block.replace("\\\n", " ").splitlines()
        commands += [re.sub(r"\s+#\s.*", "", line) for line in lines if line.strip() and not line.startswith("#")]
    return commands


def find_promised_output(text: str = README) -> dict[str, list[str]]:
    """Find the output that the document shows: the block below a command, or below one paragraph in between."""
    pairs = re.findall(r"^```bash\n((?:(?!```).*\n)+)```\n\n(?:(?!```)\S.*\n\n)?```\n((?:(?!```).*\n)+)```", text, re.M)
    return {
        find_commands(f"```bash\n{block}```")[-1]: [
            line for line in output_text.splitlines() if line.strip() not in ("", "...")
        ]
        for block, output_text in pairs
    }


def find_missing_output(command: str, output_text: str) -> list[str]:
    """Find the promised lines of ``command`` that are not in ``output_text``, ignoring numbers."""
    lines = {_normalize(line) for line in re.split(r"[\r\n]+", output_text)}
    return [line for line in find_promised_output().get(command, ()) if _normalize(line) not in lines]


def _normalize(line: str) -> str:
    return " ".join(re.sub(r"\d+", "0", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)).split())


@dataclass
class ReadmeTerminal:
    """Runs commands in ``folder`` for a user with the home folder ``home``."""

    folder: Path
    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    def run(
        self,
        command: str,
        replies: Mapping[str, str] | None = None,
        code: int = 0,
        instead: Mapping[str, str] | None = None,
    ) -> str:
        """Run a command and return its output; type ``replies`` at their questions. Raises AssertionError for another exit code."""
        child, output_text = self._spawn(command, instead or {}), ""
        patterns: Sequence[str] = list(replies or {})
        while True:
            at = child.expect([pexpect.EOF, *patterns])
            output_text += str(child.before) + (str(child.after) if at else "")
            if at == 0:
                break
            child.sendline((replies or {})[patterns[at - 1]])
        child.close()
        assert child.exitstatus == code, f"{command}\n{output_text[-4000:]}"
        assert find_missing_output(command, output_text) == [], f"{command}\n{output_text[-4000:]}"
        return output_text.replace("\r\n", "\n")

    @contextlib.contextmanager
    def running(self, command: str, until: str, instead: Mapping[str, str] | None = None) -> Iterator[str]:
        """Run a command until Ctrl-C; yields its output up to ``until``."""
        child = self._spawn(command, instead or {})
        try:
            index = child.expect([until, pexpect.EOF])
            output_text = str(child.before)
            assert index == 0, f"{command}\n{output_text[-4000:]}"
            assert find_missing_output(command, output_text) == [], f"{command}\n{output_text[-4000:]}"
            yield output_text.replace("\r\n", "\n") + str(child.after)
            child.sendintr()
            child.expect(pexpect.EOF)
            child.close()
            assert child.exitstatus == 0, f"{command}: exit code {child.exitstatus}\n{child.before}"
        finally:
            if child.isalive():  # the test has failed: end its command anyway
                child.sendintr()
                child.expect(pexpect.EOF)
            child.close(force=True)

    def _spawn(self, command: str, instead: Mapping[str, str]) -> pexpect.spawn[str]:
        assert command in find_commands(), f"the README has no {command!r}"
        for old, new in instead.items():
            assert old in command
            command = command.replace(old, new)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED_VARIABLES)}
        ours = str(Path(sys.executable).parent)
        path = ":".join(
            part for part in inherited["PATH"].split(":") if part != ours
        )  # a newcomer has no active environment
        variables = {**inherited, "HOME": str(self.home), "PATH": path, "NO_COLOR": "1", **self.variables}
        return pexpect.spawn(
            "bash",
            ["-c", command],
            cwd=str(self.folder),
            env=variables,
            encoding="utf-8",
            timeout=LONGEST_S,
            dimensions=(60, 160),
        )
