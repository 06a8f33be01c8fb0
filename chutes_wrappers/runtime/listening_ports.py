"""The addresses and ports where a service listens, to explain why an expected port is not ready."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import psutil


class Listener(NamedTuple):
    """A TCP socket that accepts connections."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def find_listeners(processes: Iterable[psutil.Process]) -> list[Listener]:
    """Return the sockets that the processes listen on, sorted; a process that may not be inspected has none."""
    listeners = set()
    for process in processes:
        try:
            connections = process.net_connections(kind="tcp")
        except psutil.Error:
            continue
        listeners |= {Listener(c.laddr.ip, c.laddr.port) for c in connections if c.status == psutil.CONN_LISTEN}
    return sorted(listeners)


def explain_missing_ports(
    missing: Iterable[int], expected: Iterable[int], host: str, listeners: Iterable[Listener]
) -> list[str]:
    """Return sentences about where the service listens, if that is not where it was expected. Pure."""
    everywhere = ("0.0.0.0", "::", host)
    all_listeners = list(listeners)
    sentences = []
    for port in missing:
        on_port = [listener for listener in all_listeners if listener.port == port]
        if on_port and not any(listener.address in everywhere for listener in on_port):
            addresses = ", ".join(map(str, on_port))
            sentences.append(f"the service listens only on {addresses}; make it listen on 0.0.0.0 or {host}")
    expected_ports = set(expected)
    unexpected = [listener for listener in all_listeners if listener.port not in expected_ports]
    if unexpected:
        addresses = ", ".join(map(str, unexpected))
        sentences.append(f"the service listens on {addresses}; if that is the right port, correct SERVICE_PORTS")
    if not all_listeners:
        sentences.append("the service listens on no port")
    return sentences
