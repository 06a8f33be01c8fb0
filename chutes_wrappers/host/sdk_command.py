"""The SDK's command line, run for a staged module with its prompts confirmed.

Its exit code is 0 for most failures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host import processes
from chutes_wrappers.host.platform_api.api_client import TIMEOUT_VARIABLE, read_request_timeout_s
from chutes_wrappers.host.staging import Stage

# More than any command asks for (PLATFORM.md, section 5): to list all files, to upload, to deploy.
_YES_INPUT = "y\n" * 4
_TIMEOUT_REQUESTS = 20


class SdkTimeout(WrapperError):
    """The SDK's command did not end in time. What it requested may have happened."""


def build_sdk_argv(*arguments: str) -> list[str]:
    """Build the argv of ``chutes`` with ``arguments``: it calls the function of the console script (SDK pyproject, scripts).

    The script itself is not used: it contains the path where the environment was created.
    """
    return processes.build_python_argv("chutes.cli:app", *arguments)


def build_dev_run_argv(*arguments: str) -> list[str]:
    """Build the argv of ``chutes run --dev`` with more ``arguments``, guarded from its start (``sdk/dev_run.py``)."""
    return processes.build_python_argv("chutes_wrappers.sdk.dev_run:main", "run", "--dev", *arguments)


def run_sdk(
    stage: Stage,
    arguments: Sequence[str],
    *,
    on_line: Callable[[str], None],
    variables: Mapping[str, str] | None = None,
) -> int:
    """Run ``chutes`` in the staging folder with all prompts confirmed; return the exit code, which is 0 for most failures.

    ``variables`` are added to the folder's environment. Raises SdkTimeout after twenty request timeouts: the SDK itself
    waits forever for an API that does not respond.
    """
    timeout_s = _TIMEOUT_REQUESTS * read_request_timeout_s()
    try:
        return processes.stream(
            build_sdk_argv(*arguments),
            environment={**stage.environment, **(variables or {})},
            directory=stage.folder,
            on_line=on_line,
            input_text=_YES_INPUT,
            timeout_s=timeout_s,
        )
    except TimeoutError as error:
        raise SdkTimeout(
            f"`chutes {arguments[0]}` timed out after {timeout_s:g} s: no response from the platform",
            next_step=f"check the result with --status and --list-images; {TIMEOUT_VARIABLE} sets the timeout of a request [30]",
        ) from error
