"""The check of kept connections under the versions of aiohttp that an instance may have, with and without its C extension."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.packages.environments import create_package_folder
from tests.scenario import ROOT

pytestmark = pytest.mark.packages

# Version → whether its connector allows the check. The first is the oldest of requirements.txt.
VERSIONS = {
    "==3.10.0": False,
    "==3.10.10": False,
    "==3.10.11": True,
    "==3.11.18": True,
    "==3.12.15": True,
    "==3.13.5": True,
    ">=3.14,<4": True,
}
PYTHON_PARSER = ("==3.10.11", ">=3.14,<4")
RUN = (
    "-m",
    "pytest",
    "-q",
    "--noconftest",
    "-p",
    "no:cacheprovider",
    "-W",
    "ignore",
    "tests/runtime/test_connection_pool.py",
)
PRINT = "import aiohttp.http, {0}; print(aiohttp.__file__, aiohttp.http.HttpResponseParser.__module__, {0}.CAN_SHARE)"
if sys.version_info >= (3, 13):
    del VERSIONS["==3.10.0"]  # it has no wheel for this Python
CASES = [(version, "") for version in VERSIONS] + [(version, "1") for version in PYTHON_PARSER]


@pytest.mark.parametrize(("version", "has_no_extension"), CASES)
def test_no_version_takes_a_connection_with_unread_bytes(version: str, has_no_extension: str) -> None:
    folder = create_package_folder(f"aiohttp{version}")
    environment = {**os.environ, "PYTHONPATH": str(folder), "AIOHTTP_NO_EXTENSIONS": has_no_extension}
    parser = "aiohttp.http_parser" if has_no_extension else "aiohttp._http_parser"
    found = _run(environment, "-c", PRINT.format("chutes_wrappers.runtime.connection_pool"))
    assert found.split() == [str(folder / "aiohttp" / "__init__.py"), parser, str(VERSIONS[version])]
    assert " passed" in _run(environment, *RUN)


def _run(environment: Mapping[str, str], *argv: str) -> str:
    result = subprocess.run(
        [sys.executable, *argv], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
