"""The server's end of a connection in this process, found among its open files."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Any


def sends_small_pieces_immediately(client: Any) -> bool:
    """Return whether the server's end of the socket ``client`` has TCP_NODELAY. The server must have read from it already."""
    for path in Path("/dev/fd").iterdir():
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(path.name))) as candidate:
            if candidate.getpeername() == client.getsockname():
                return bool(candidate.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
    raise LookupError(f"no server of this process has accepted {client.getsockname()}")
