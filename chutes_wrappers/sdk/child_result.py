"""How a child process returns its result: one JSON object on standard output, whatever the user's module prints.

``{"error": …}`` (``WrapperError.to_data``) is the reason why there is no result. No object at all means that the module
ended the process itself.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TextIO

from chutes_wrappers.core.errors import WrapperError

ERROR = "error"


def exit_with_result(compute: Callable[[], Mapping[str, Any]]) -> NoReturn:
    """Print what ``compute`` returns, or the WrapperError that it raises, as JSON. Exit with 0 or with the error's code.

    Meanwhile everything written to standard output goes to standard error, also from native code and child processes.
    """
    original_stdout = _redirect_stdout_to_stderr()
    try:
        result, code = compute(), 0
    except WrapperError as error:
        result, code = {ERROR: error.to_data()}, error.exit_code
    sys.stdout.flush()
    sys.stderr.flush()
    # On a separate line, the last one: verification reads both streams together.
    original_stdout.write(f"\n{json.dumps(result, sort_keys=True)}\n")
    original_stdout.flush()
    # Not sys.exit: threads and exit handlers of the module could delay the exit, or print after the result.
    os._exit(code)


def _redirect_stdout_to_stderr() -> TextIO:
    """Redirect standard output to standard error. Return a file for the original standard output."""
    sys.stdout.flush()
    original_stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return original_stdout
