"""httpbin on a loopback port: many kinds of responses, from a server of another project."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpbin  # type: ignore[import-untyped]  # it has none
from werkzeug.serving import WSGIRequestHandler, make_server


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Nobody reads it."""


@contextmanager
def serve_httpbin() -> Iterator[int]:
    """The port; served until the context ends."""
    server = make_server("127.0.0.1", 0, httpbin.app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)
