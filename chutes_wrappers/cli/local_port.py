"""Availability of a port of this machine."""

from __future__ import annotations

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.local_ports import probe_port


def check_free_port(port: int, flag: str = "--port") -> int:
    """Return ``port`` if nothing listens on it on 127.0.0.1, or any free port for 0. Raises ConfigurationError otherwise."""
    try:
        return probe_port(port)
    except OSError as error:
        raise ConfigurationError(
            f"port {port} cannot be used ({error.strerror})", next_step=f"set another port with {flag}"
        ) from error
