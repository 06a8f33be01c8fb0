"""Listening sockets of a container, from the text of ``/proc/net/tcp`` and ``/proc/net/tcp6``. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

_LISTEN = "0A"
_DOCKER_RESOLVER = "127.0.0.11"


@dataclass(frozen=True, kw_only=True, order=True)
class Listener:
    """One listening TCP socket."""

    port: int
    address: str

    @property
    def is_loopback(self) -> bool:
        """Whether it is not reachable from outside the container."""
        return ipaddress.ip_address(self.address).is_loopback


def parse_listeners(text: str) -> tuple[Listener, ...]:
    """Return the listening sockets, sorted; other lines are ignored."""
    listeners = set()
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[3] == _LISTEN:
            try:
                address, port = fields[1].split(":")
                listeners.add(Listener(port=int(port, 16), address=_parse_address(address)))
            except ValueError:
                continue
    return tuple(sorted(listener for listener in listeners if listener.address != _DOCKER_RESOLVER))


def _parse_address(text: str) -> str:
    """The kernel prints an address as 32-bit words of the host's (little-endian) byte order."""
    packed = b"".join(bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8))
    address = ipaddress.ip_address(packed)
    ipv4_address = getattr(address, "ipv4_mapped", None)
    return str(ipv4_address or address)
