"""Whether what commands import can be imported. Tried in a process of its own, which a native library may end."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from chutes_wrappers.host import processes
from chutes_wrappers.host.doctor.finding import Finding, reinstallation

# Every third-party package that our code imports, and the SDK's command line, which imports the rest of the SDK.
NEEDED = (
    "aiohttp", "bittensor_wallet", "chutes.cli", "click", "cryptography", "docker", "fastapi", "fastapi_offline", "h11",
    "loguru", "orjson", "psutil", "pybase64", "pydantic", "python_multipart", "requests", "rich", "starlette", "urllib3",
    "uvicorn", "yaml", "yarl",
)  # fmt: skip
_TIMEOUT_S = 120.0
# One line for each module: what is wrong with it, or nothing. What a module prints itself goes to standard error.
_TRY = """
import sys
sys.path[:] = sys.argv[1].split(":")
import importlib, json
results, sys.stdout = sys.stdout, sys.stderr
for name in sys.argv[2:]:
    wrong = ""
    try:
        importlib.import_module(name)
    except BaseException as error:
        wrong = f"{error} ({type(error).__name__})"
    print(json.dumps(wrong), file=results, flush=True)
"""


def import_findings(needed: Sequence[str] = NEEDED) -> Iterator[Finding]:
    """One finding for each module of ``needed`` that cannot be imported, or one that all can."""
    problems = [(name, wrong) for name, wrong in _tried(needed) if wrong]
    for name, wrong in problems:
        yield Finding(
            group="environment", name="imports", severity="failure", found=f"{name}: {wrong}", fix=reinstallation()
        )
    if not problems:
        found = f"all {len(needed)} packages that commands import are there"
        yield Finding(group="environment", name="imports", severity="ok", found=found)


def _tried(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each module, and what is wrong with it."""
    while names:
        done = processes.capture(
            [sys.executable, "-c", _TRY, ":".join(sys.path), *names],
            environment=os.environ,
            directory=Path.cwd(),
            timeout_s=_TIMEOUT_S,
        )
        wrong = [str(json.loads(line)) for line in done.output.splitlines()]
        if len(wrong) < len(names):
            wrong.append(f"importing it ends Python ({_end(done.exit_code)})")
        yield from zip(names, wrong, strict=False)
        names = names[len(wrong) :]


def _end(code: int) -> str:
    return signal.Signals(-code).name if -code in {*signal.Signals} else f"exit code {code}"
