"""Listening sockets for servers of ours."""

from __future__ import annotations

import socket

# Many callers may connect at once.
_BACKLOG = 1024


def open_listener(host: str, port: int) -> socket.socket:
    """Listen on ``port`` of the address ``host``, or on any free port for 0. Raises OSError.

    Accepted connections send small pieces immediately. asyncio sets that for sockets with the protocol number of TCP only,
    and those of ``socket.create_server`` have the number 0. On Linux and macOS they inherit the option from the listener.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
