"""``python3 -m morse``: run both services until SIGTERM, SIGINT, or the end of one of them."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from queue import SimpleQueue
from types import FrameType

from . import listener, speaker
from .server import ServiceServer
from .settings import InvalidSetting, Settings, read_settings

_LOG = logging.getLogger("morse")


def main() -> int:
    """Run both services; return 0 after a signal and 1 after a failure."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    # The first message ends the program: empty after a signal, otherwise the reason of the failure.
    ends: SimpleQueue[str] = SimpleQueue()

    def stop(number: int, frame: FrameType | None) -> None:
        ends.put("")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        settings = read_settings(os.environ)
    except InvalidSetting as error:
        _LOG.error("%s", error)
        return 1
    with contextlib.ExitStack() as sockets:
        try:
            servers = [sockets.enter_context(server) for server in _open_server(settings)]
        except OSError as error:
            _LOG.error("%s", error)
            return 1
        for server in servers:
            threading.Thread(target=_serve, args=(server, ends), daemon=True).start()
        problem = ends.get()
    if problem:
        _LOG.error("%s", problem)
    return 1 if problem else 0


def _open_server(settings: Settings) -> list[ServiceServer]:
    servers: list[ServiceServer] = []
    for service, port in (
        (speaker.build_service(settings), settings.speaker_port),
        (listener.build_service(), settings.listener_port),
    ):
        try:
            servers.append(ServiceServer(service, settings.host, port))
        except OSError as error:
            for server in servers:
                server.server_close()
            raise OSError(f"{service.name} cannot listen on {settings.host}:{port}: {error.strerror}") from error
    return servers


def _serve(server: ServiceServer, ends: SimpleQueue[str]) -> None:
    name = server.service.name
    _LOG.info("%s listens on %s:%d", name, server.server_name, server.server_port)
    try:
        server.serve_forever()
    except Exception as error:  # noqa: BLE001 - any end of one service must end the program
        ends.put(f"{name} failed: {error!r}")
    else:
        ends.put(f"{name} stopped")


if __name__ == "__main__":
    sys.exit(main())
