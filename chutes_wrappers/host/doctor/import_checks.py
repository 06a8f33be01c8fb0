"""Check that all required packages can be imported, in a separate process that a native library may crash."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from chutes_wrappers.host import processes
from chutes_wrappers.host.doctor.finding import Finding, build_reinstall_fix

# Every third-party package that our code imports, and the SDK's command line, which imports the rest of the SDK.
REQUIRED_MODULES = (
    "aiohttp", "bittensor_wallet", "chutes.cli", "click", "cryptography", "docker", "fastapi", "fastapi_offline", "h11",
    "loguru", "orjson", "psutil", "pybase64", "pydantic", "pydantic_core", "python_multipart", "rbcl", "requests", "rich", "starlette", "urllib3",
    "uvicorn", "yaml", "yarl",
)  # fmt: skip
_TIMEOUT_S = 120.0
# Prints one line for each module: its error, or an empty string. The module's output goes to standard error.
_TRY = """
import sys
sys.path[:] = sys.argv[1].split(":")
import importlib, json
results, sys.stdout = sys.stdout, sys.stderr
for name in sys.argv[2:]:
    problem = ""
    try:
        importlib.import_module(name)
    except BaseException as error:
        problem = f"{error} ({type(error).__name__})"
    print(json.dumps(problem), file=results, flush=True)
"""


def check_imports(names: Sequence[str] = REQUIRED_MODULES) -> Iterator[Finding]:
    """Yield one finding for each module in ``names`` that cannot be imported, or one that all can."""
    problems = [(name, problem) for name, problem in _try_imports(names) if problem]
    for name, problem in problems:
        yield Finding(
            group="environment",
            name="imports",
            severity="failure",
            found=f"{name}: {problem}",
            fix=build_reinstall_fix(),
        )
    if not problems:
        message = f"all {len(names)} packages that commands import are installed"
        yield Finding(group="environment", name="imports", severity="ok", found=message)


def _try_imports(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each module and its error, which is empty when it can be imported."""
    while names:
        result = processes.capture(
            [sys.executable, "-c", _TRY, ":".join(sys.path), *names],
            environment=os.environ,
            directory=Path.cwd(),
            timeout_s=_TIMEOUT_S,
        )
        problems = [str(json.loads(line)) for line in result.output.splitlines()]
        if len(problems) < len(names):
            problems.append(f"importing it crashes Python ({_format_exit_code(result.exit_code)})")
        yield from zip(names, problems, strict=False)
        names = names[len(problems) :]


def _format_exit_code(code: int) -> str:
    return signal.Signals(-code).name if -code in {*signal.Signals} else f"exit code {code}"
