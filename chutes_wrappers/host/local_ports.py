"""Ports of this machine's loopback addresses that a server can listen on."""

from __future__ import annotations

import errno
import os
import socket

from chutes_wrappers.runtime.listeners import open_listener

_IPV4_HOST = "127.0.0.1"
_IPV6_HOST = "::1"
_ATTEMPTS = 100


def probe_port(port: int = 0) -> int:
    """Return ``port`` when a server can listen on it, or any free port for 0. Raise OSError otherwise."""
    with socket.socket() as probe:
        if port:  # as servers do: a port is free although old connections are in TIME_WAIT
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((_IPV4_HOST, port))
        bound_port: int = probe.getsockname()[1]
        return bound_port


def open_loopback_sockets(port: int) -> list[socket.socket]:
    """Open ``port``, or any free port for 0, on both loopback addresses; on one without IPv6. Raises OSError if either is in use.

    For a name below localhost Chromium tries ::1 first. There another user of this machine could receive the chute's cookies.
    """
    for _ in range(_ATTEMPTS):
        first = _listen(_IPV4_HOST, port)
        try:
            return [first, _listen(_IPV6_HOST, first.getsockname()[1])]
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                return [first]
            first.close()
            if port != 0 or error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, "no port is free on both loopback addresses")


def _listen(host: str, port: int) -> socket.socket:
    try:
        return open_listener(host, port)
    except OSError as error:
        raise OSError(error.errno, f"{os.strerror(error.errno or 0)}, on {host}") from error
