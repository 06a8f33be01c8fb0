"""Ports of 127.0.0.1 that a server can listen on."""

from __future__ import annotations

import socket


def probe_port(port: int = 0) -> int:
    """Return ``port`` when a server can listen on it, or any free port for 0. Raise OSError otherwise."""
    with socket.socket() as probe:
        if port:  # as servers do: a port is free although old connections are in TIME_WAIT
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        bound_port: int = probe.getsockname()[1]
        return bound_port
