"""A builder that its test controls."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

from chutes_wrappers.core.errors import WrapperError


class ScriptedBuilder:
    """Prints a line, waits for ``go``, prints another, and fails with ``failure`` if that is set.

    A stage of the forge prints its commands' output; the build fails in ``failing_stage``.
    """

    def __init__(self, failure: str = "", failing_stage: str = "") -> None:
        self.has_started = threading.Event()
        self.go = threading.Event()
        self.failure = failure
        self.failing_stage = failing_stage
        self.stage_builds: list[tuple[str, bool]] = []
        self.published: list[str] = []
        self.files: dict[str, str] = {}
        self.references: list[str] = []
        self.removed: list[str] = []

    def build(self, context: Path, reference: str, on_line: Callable[[str], None]) -> None:
        self.references.append(reference)
        self.files = {path.name: path.read_text() for path in context.rglob("*") if path.is_file()}
        on_line("Step 1/2")
        self.has_started.set()
        assert self.go.wait(60)
        on_line("Step 2/2")
        if self.failure:
            raise WrapperError(self.failure)

    def build_stage(self, context: Path, reference: str, has_network: bool, on_line: Callable[[str], None]) -> None:
        self.stage_builds.append((reference, has_network))
        for name in re.findall("echo '(.*?)'", (context / "Dockerfile").read_text()):
            on_line(name)
            if self.failing_stage and name.endswith(self.failing_stage):
                on_line("The command returned a non-zero code: 1")
                raise WrapperError("the build failed with exit code 1: no")

    def publish(self, reference: str, on_line: Callable[[str], None]) -> None:
        self.published.append(reference)

    def remove(self, reference: str) -> None:
        self.removed.append(reference)

    def stop(self) -> None:
        self.failure = self.failure or "it was ended"
        self.go.set()
