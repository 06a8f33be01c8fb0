"""How a child process that loads a user's module answers: with one JSON object, whatever the module itself prints.

``{"error": …}`` (``WrapperError.to_data``) says why there is no other answer; none at all means that the module ended the
process itself.
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
    """Print what ``compute`` returns, or the WrapperError that it raises, as JSON; end with 0 or with the error's exit code.

    What is written to standard output meanwhile, also by native code and by children, goes to standard error.
    """
    original_stdout = _redirect_stdout_to_stderr()
    try:
        result, code = compute(), 0
    except WrapperError as error:
        result, code = {ERROR: error.to_data()}, error.exit_code
    sys.stdout.flush()
    sys.stderr.flush()
    # On a line of its own, and the last one: verification reads it from both streams together.
    original_stdout.write(f"\n{json.dumps(result, sort_keys=True)}\n")
    original_stdout.flush()
    # Not sys.exit: threads and exit handlers of the module must neither keep us nor have the last word.
    os._exit(code)


def _redirect_stdout_to_stderr() -> TextIO:
    """A file for the answer where standard output was, which becomes standard error."""
    sys.stdout.flush()
    original_stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return original_stdout
