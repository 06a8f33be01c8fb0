"""Both services of the sample on real sockets."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from examples.morse.morse import listener, speaker
from examples.morse.morse.server import ServiceServer
from examples.morse.morse.settings import Settings
from examples.morse.morse.web import Service


@contextmanager
def serving(service: Service) -> Iterator[int]:
    with ServiceServer(service, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def speaker_port() -> Iterator[int]:
    with serving(speaker.build_service(Settings(wpm=25))) as port:
        yield port


@pytest.fixture(scope="module")
def listener_port() -> Iterator[int]:
    with serving(listener.build_service()) as port:
        yield port
