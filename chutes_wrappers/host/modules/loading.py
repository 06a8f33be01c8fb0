"""What a user's module answers when it is loaded: in a child process, within a time, and with errors that name its own file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chutes_wrappers.core.errors import ConfigurationError, WrapperError, error_from_data
from chutes_wrappers.host import processes
from chutes_wrappers.sdk.child_result import ERROR

# Importing the SDK takes seconds on a slow disk, a model library up to a minute.
LONGEST_LOAD_S = 120.0
Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Loading:
    """How to load one module. ``paths`` are those that the child sees and the user does not know → the user's own."""

    module: Path
    environment: Mapping[str, str]
    directory: Path
    paths: Mapping[str, str]

    def own(self, text: str) -> str:
        """``text`` with the user's own paths."""
        for seen, own in self.paths.items():
            text = text.replace(seen, own)
        return text


def load(loading: Loading, target: str, arguments: Sequence[str], report: Report) -> dict[str, Any]:
    """Call ``MODULE:FUNCTION``, and return the JSON that it ends with (``sdk/child_result.py``); ``report`` is called when it is slow.

    Raises the module's own WrapperError, or ConfigurationError with its last words, where it has no answer.
    """
    try:
        result = processes.capture(
            processes.python_argv(target, *arguments),
            environment=loading.environment,
            directory=loading.directory,
            timeout_s=LONGEST_LOAD_S,
            on_slow=lambda: report(f"loading {loading.module.name} (at most {LONGEST_LOAD_S:.0f} s)"),
        )
    except TimeoutError as error:
        raise _endless(loading) from error
    answer = _answer(result.output)
    if answer is None:
        raise _unanswered(loading, result)
    if ERROR in answer:
        raise _own(loading, error_from_data(answer[ERROR]))
    return answer


def _answer(output: str) -> dict[str, Any] | None:
    try:
        answer = json.loads(output.rstrip("\n").rpartition("\n")[2])
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _endless(loading: Loading) -> ConfigurationError:
    return ConfigurationError(
        f"the module has not finished loading after {LONGEST_LOAD_S:.0f} s, and was stopped",
        where=str(loading.module),
        next_step="move what takes long (downloads, models, waiting) out of its top level, into a start-up hook",
    )


def _unanswered(loading: Loading, result: processes.Captured) -> ConfigurationError:
    if result.exit_code == 0:
        return ConfigurationError(
            "the module ended the process itself while it was loaded",
            where=str(loading.module),
            evidence=loading.own(processes.without_source(result.errors)) or None,
            next_step="remove sys.exit() and the like from its top level, or put it below `if __name__ == '__main__':`",
        )
    return ConfigurationError(
        "the module cannot be loaded",
        where=str(loading.module),
        evidence=loading.own(processes.without_source(result.errors)) or f"exit code {result.exit_code}",
        next_step="correct what the last line says",
    )


def _own(loading: Loading, error: WrapperError) -> WrapperError:
    """The module's error with the user's paths, and with the module's where it named no place."""
    module = str(loading.module)
    where = loading.own(error.where or module)
    return type(error)(
        loading.own(error.what),
        where=where if "/" in where else f"{module}, {where}",
        evidence=error.evidence and loading.own(error.evidence),
        next_step=error.next_step and loading.own(error.next_step),
    )
