"""Loading of a user's module in a child process, with a timeout, and with errors that name the user's file."""

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
LOAD_TIMEOUT_S = 120.0
Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """Options for loading one module. ``paths`` maps paths that only the child process knows to the user's paths."""

    module: Path
    environment: Mapping[str, str]
    directory: Path
    paths: Mapping[str, str]

    def restore_paths(self, text: str) -> str:
        """Return ``text`` with the user's paths instead of those of the child process."""
        for child_path, user_path in self.paths.items():
            text = text.replace(child_path, user_path)
        return text


def load_module(options: LoadOptions, target: str, arguments: Sequence[str], report: Report) -> dict[str, Any]:
    """Call ``target``, a ``MODULE:FUNCTION``, and return the JSON that it prints last (``sdk/child_result.py``).

    ``report`` is called when it is slow. Raises the module's own WrapperError, or ConfigurationError with the last output
    when there is no result.
    """
    try:
        process = processes.capture(
            processes.build_python_argv(target, *arguments),
            environment=options.environment,
            directory=options.directory,
            timeout_s=LOAD_TIMEOUT_S,
            on_slow=lambda: report(f"loading {options.module.name} (at most {LOAD_TIMEOUT_S:.0f} s)"),
        )
    except TimeoutError as error:
        raise _make_timeout_error(options) from error
    result = _parse_result(process.output)
    if result is None:
        raise _make_load_error(options, process)
    if ERROR in result:
        raise _restore_error_paths(options, error_from_data(result[ERROR]))
    return result


def _parse_result(output: str) -> dict[str, Any] | None:
    try:
        result = json.loads(output.rstrip("\n").rpartition("\n")[2])
    except ValueError:
        return None
    return result if isinstance(result, dict) else None


def _make_timeout_error(options: LoadOptions) -> ConfigurationError:
    return ConfigurationError(
        f"loading the module timed out after {LOAD_TIMEOUT_S:.0f} s, and was stopped",
        where=str(options.module),
        next_step="move what takes long (downloads, models, waiting) out of its top level, into a start-up hook",
    )


def _make_load_error(options: LoadOptions, process: processes.ProcessResult) -> ConfigurationError:
    if process.exit_code == 0:
        return ConfigurationError(
            "the module ended the process itself while it was loaded",
            where=str(options.module),
            evidence=options.restore_paths(processes.strip_source_lines(process.errors)) or None,
            next_step="remove sys.exit() and the like from its top level, or put it below `if __name__ == '__main__':`",
        )
    return ConfigurationError(
        "the module cannot be loaded",
        where=str(options.module),
        evidence=options.restore_paths(processes.strip_source_lines(process.errors))
        or f"exit code {process.exit_code}",
        next_step="correct the error in the last line",
    )


def _restore_error_paths(options: LoadOptions, error: WrapperError) -> WrapperError:
    """Return the error with the user's paths. Without a location it gets the module's path."""
    module = str(options.module)
    where = options.restore_paths(error.where or module)
    return type(error)(
        options.restore_paths(error.what),
        where=where if "/" in where else f"{module}, {where}",
        evidence=error.evidence and options.restore_paths(error.evidence),
        next_step=error.next_step and options.restore_paths(error.next_step),
    )
