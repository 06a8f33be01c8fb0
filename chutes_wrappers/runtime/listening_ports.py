"""Where a service listens instead of where it was expected."""

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


def listeners_of(processes: Iterable[psutil.Process]) -> list[Listener]:
    """The sockets that the processes listen on, sorted; a process that may not be looked into has none."""
    found = set()
    for process in processes:
        try:
            connections = process.net_connections(kind="tcp")
        except psutil.Error:
            continue
        found |= {Listener(c.laddr.ip, c.laddr.port) for c in connections if c.status == psutil.CONN_LISTEN}
    return sorted(found)


def explain(missing: Iterable[int], expected: Iterable[int], host: str, listeners: Iterable[Listener]) -> list[str]:
    """Sentences that say where the service listens, when that is not where it was looked for; pure."""
    everywhere = ("0.0.0.0", "::", host)
    seen = list(listeners)
    sentences = []
    for port in missing:
        here = [listener for listener in seen if listener.port == port]
        if here and not any(listener.address in everywhere for listener in here):
            places = ", ".join(map(str, here))
            sentences.append(f"the service listens on {places} only; have it listen on 0.0.0.0 or {host}")
    known = set(expected)
    elsewhere = [listener for listener in seen if listener.port not in known]
    if elsewhere:
        places = ", ".join(map(str, elsewhere))
        sentences.append(f"the service listens on {places}; if that is it, correct SERVICE_PORTS")
    if not seen:
        sentences.append("the service listens on no port")
    return sentences
