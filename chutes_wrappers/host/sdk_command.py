"""The SDK's own command line, run for a staged module. Its questions are answered; its exit codes tell little."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from chutes_wrappers.host import processes
from chutes_wrappers.host.staging import Stage

# More than any command asks (PLATFORM.md, section 5): to see all files, to upload, to deploy.
_YES = "y\n" * 4


def sdk_argv(*arguments: str) -> list[str]:
    """The argv of ``chutes`` with ``arguments``, that of this Python."""
    return [str(Path(sys.executable).parent / "chutes"), *arguments]


def run_sdk(
    stage: Stage,
    arguments: Sequence[str],
    *,
    on_line: Callable[[str], None],
    variables: Mapping[str, str] | None = None,
) -> int:
    """Run ``chutes`` in the staging folder, its questions answered with yes; the exit code, which is 0 for most failures.

    ``variables`` are added to the folder's environment.
    """
    return processes.stream(
        sdk_argv(*arguments),
        environment={**stage.environment, **(variables or {})},
        directory=stage.folder,
        on_line=on_line,
        answers=_YES,
    )
