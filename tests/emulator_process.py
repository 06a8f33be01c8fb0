"""The platform's API as a separate program, started as in the README."""

from __future__ import annotations

import configparser
import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.scenario import ROOT, make_environment

READY = r"the emulator is ready at (http://\S+)"
_TIMEOUT_S = 60.0
_NEW_KEY = """
from chutes_wrappers.host.platform_api import api_client
with api_client.connect() as api:
    print(api.post("/api_keys/", "making a key", {"name": "test", "admin": True})["secret_key"])
"""


@contextlib.contextmanager
def run_emulator_process(folder: Path) -> Iterator[dict[str, str]]:
    """Run the emulator, and yield the variables for a registration. ``folder`` gets state, configuration and ``emulator.log``."""
    log, config = folder / "emulator.log", folder / "emulator.ini"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "chutes_wrappers.emulator"),
                *("--folder", str(folder / "state"), "--config", str(config)),
            ],
            cwd=ROOT,
            env=make_environment(),
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
        try:
            url = _wait_for_url(process, log)
            yield {"CHUTES_API_URL": url, "CHUTES_REGISTRATION_TOKEN": read_registration_token(config)}
        finally:
            process.terminate()
            process.wait(60)


def read_registration_token(config: Path) -> str:
    """Read the token that the emulator wrote for its user."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(config)
    return parser["emulator"]["registration_token"]


def _wait_for_url(process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(int(_TIMEOUT_S / 0.1)):
        if match := re.search(READY, log.read_text()):
            return match[1]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
            break
    raise AssertionError(log.read_text())


def make_api_key(variables: Mapping[str, str]) -> str:
    """Create an API key of the account in ``variables``."""
    done = subprocess.run(
        [sys.executable, "-c", _NEW_KEY], cwd=ROOT, env=dict(variables), capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
