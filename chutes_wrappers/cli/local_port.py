"""Whether a port of this machine can be listened on."""

from __future__ import annotations

import socket

from chutes_wrappers.core.errors import ConfigurationError


def check_free_port(port: int, flag: str = "--port") -> int:
    """``port`` itself when nothing listens on it on 127.0.0.1, else ConfigurationError; 0 asks for any port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigurationError(
                f"port {port} cannot be used ({error.strerror})", next_step=f"name another one with {flag}"
            ) from error
        free_port: int = probe.getsockname()[1]
        return free_port
