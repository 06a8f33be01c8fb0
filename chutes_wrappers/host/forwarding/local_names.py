"""The names under which a client on this machine reaches the forwarded services. Pure.

A cookie belongs to a host name and ignores the port (RFC 6265, section 8.5). So 127.0.0.1 and localhost share the cookies of all
programs of this machine, and each chute has one more name below localhost, for browsers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chutes_wrappers.runtime.tunnel_frames import Header

# Also 0.0.0.0, which services that listen on all addresses use for themselves.
SERVICE_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]", "0.0.0.0"})
_BARE_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
_LONGEST_LABEL = 63
_HASH_LENGTH = 6
_DEFAULT_PORTS = {"http": 80, "https": 443}
_AUTHORITY = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:/?#@\[\]]+)(?::([0-9]{0,5}))?")


def build_browser_name(chute_name: str) -> str:
    """Return the name below localhost for the chute: its name as a DNS label.

    A name that is not a label gets a part of its hash, so that ``my_chat`` and ``my-chat`` have separate cookies.
    """
    name = chute_name.lower()
    label = re.sub(r"[^a-z0-9]+", "-", name).strip("-")
    if label != name or not 0 < len(label) <= _LONGEST_LABEL:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_LENGTH]
        label = f"{label[: _LONGEST_LABEL - _HASH_LENGTH - 1].rstrip('-') or 'chute'}-{digest}"
    return f"{label}.localhost"


@dataclass(frozen=True, kw_only=True)
class Authority:
    """A host name in lower case, and the port; ``port`` is None without one."""

    name: str
    port: int | None = None

    def __str__(self) -> str:
        return self.name if self.port is None else f"{self.name}:{self.port}"


def parse_authority(text: str, scheme: str = "http") -> Authority | None:
    """Parse ``name[:port]``; None if it is something else. The default port of ``scheme`` becomes None."""
    match = _AUTHORITY.fullmatch(text.strip())
    if match is None:
        return None
    port = int(match[2]) if match[2] else None
    return Authority(name=match[1].lower(), port=None if port == _DEFAULT_PORTS[scheme] else port)


@dataclass(frozen=True, kw_only=True)
class LocalNames:
    """The names of one server, which listens on ``port``.

    ``browser_name`` is the chute's name below localhost. ``service_ports`` are the services' ports by the port of this machine,
    for all forwarded ports of the chute. ``foreign`` are hosts that the user allows, which stay unchanged. A name of this machine
    may be one of them: for services that build URLs from ``Host`` alone, and clients that sign it.
    """

    browser_name: str
    port: int
    service_ports: Mapping[int, int]
    foreign: frozenset[str] = field(default_factory=frozenset)

    @property
    def service_port(self) -> int:
        """The port of the service behind this server."""
        return self.service_ports[self.port]

    def is_own_host(self, host: Authority) -> bool:
        """Whether a ``Host`` names this server. Another program knows no chute's name, so that may have any port."""
        is_bare = host.name in _BARE_NAMES and (host.port or _DEFAULT_PORTS["http"]) == self.port
        return host.name not in self.foreign and (is_bare or host.name == self.browser_name)

    def is_shared_host(self, host: Authority) -> bool:
        """Whether a browser has cookies of other programs under the name in ``Host``."""
        return host.name in _BARE_NAMES or host.name not in {self.browser_name, *self.foreign}

    def find_service_port(self, authority: Authority, host: Authority) -> int | None:
        """Find the service's port for an address of ours, seen by a client that named this server ``host``."""
        if authority.name in self.foreign:
            return None
        if authority == host and self.is_own_host(host):
            return self.service_port
        if authority.name in _BARE_NAMES or authority.name == self.browser_name:
            return self.service_ports.get(authority.port or _DEFAULT_PORTS["http"])
        return None

    def find_client_authority(self, authority: Authority, host: Authority) -> Authority | None:
        """Find what a client that named this server ``host`` has to use for an address of a service."""
        port = authority.port or _DEFAULT_PORTS["http"]
        if authority.name not in SERVICE_NAMES:
            return None
        if port == self.service_port:
            return host
        local = next((local for local, service in self.service_ports.items() if service == port), None)
        return None if local is None else Authority(name=host.name, port=local)


def parse_client_host(headers: Sequence[Header]) -> Authority:
    """Parse the ``Host`` of a request that the local guard accepted."""
    host = parse_authority(get_header(headers, "host"))
    assert host is not None
    return host


def parse_client_scheme(headers: Sequence[Header]) -> str:
    """Parse the scheme of the client's URL, which a proxy in front of the forwarder names."""
    return "https" if get_header(headers, "x-forwarded-proto").strip().lower() == "https" else "http"


def get_header(headers: Sequence[Header], name: str) -> str:
    """Return the value of the first header ``name``, in lower case; empty if it is missing."""
    return next((value for key, value in headers if key.lower() == name), "")
