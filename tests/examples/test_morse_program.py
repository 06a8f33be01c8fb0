"""``python -m morse`` as a process: its environment, its signals, its end."""

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import pytest

from examples.morse.morse import __main__ as program
from examples.morse.morse.server import ServiceServer
from examples.morse.morse.settings import InvalidSetting, Settings, read_settings
from examples.morse.morse.web import Service

SAMPLE = Path(__file__).parents[2] / "examples" / "morse"


@contextmanager
def running(**environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "morse"],
        cwd="/",
        env={"PYTHONPATH": str(SAMPLE), "PORT_SPEAK": "0", "PORT_LISTEN": "0", **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def lines_until_both_listen(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline() + process.stderr.readline()


def test_both_services_respond_and_sigterm_ends_them() -> None:
    with running() as process:
        output_text = lines_until_both_listen(process)
        for name in ("speaker", "listener"):
            (port,) = re.findall(rf"{name} listens on 127\.0\.0\.1:(\d+)", output_text)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60) as response:
                assert response.read() == b'{"status": "ok"}'
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def test_a_port_in_use_ends_the_program_and_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with running(PORT_LISTEN=str(port)) as process:
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"listener cannot listen on 127.0.0.1:{port}" in errors
    assert "Traceback" not in errors


def test_a_service_that_fails_ends_the_program() -> None:
    ends: SimpleQueue[str] = SimpleQueue()
    server = ServiceServer(Service("speaker", []), "127.0.0.1", 0)
    server.server_close()
    program._serve(server, ends)
    assert "speaker failed" in ends.get(timeout=60)


def test_the_environment_sets_addresses_and_defaults() -> None:
    assert read_settings({}) == Settings()
    environment = {
        "HOST": "0.0.0.0",
        "PORT_SPEAK": "1",
        "PORT_LISTEN": "2",
        "MORSE_WPM": "30",
        "MORSE_FREQUENCY": "400",
    }
    assert read_settings(environment) == Settings(
        host="0.0.0.0", speaker_port=1, listener_port=2, wpm=30, frequency=400
    )


@pytest.mark.parametrize("name", ["PORT_SPEAK", "PORT_LISTEN", "MORSE_WPM", "MORSE_FREQUENCY"])
@pytest.mark.parametrize("value", ["x", "-1", "70000", "1.5"])
def test_an_invalid_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match=name):
        read_settings({name: value})
