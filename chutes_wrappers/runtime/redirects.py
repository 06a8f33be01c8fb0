"""Where a redirect leads: to the service that sent it, or elsewhere. Pure.

A service may know neither its own port nor its name. Behind a proxy on port 80 it would be reached at the URL that it names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from yarl import URL


def is_own_host(host: str) -> bool:
    """Return whether ``host`` means this machine: a loopback or unspecified address, or a name of loopback (RFC 6761, 6.3)."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f".{host.lower().rstrip('.')}".endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def find_redirect_target(url: str, location: str, ports: Collection[int]) -> str | None:
    """Return path and query of the ``Location`` in a response from ``url``, as sent; None when it leads to another service.

    The same service has the scheme and the host of ``url``, and one of ``ports`` or none. All names of this machine are one host.
    """
    try:
        base, target = urlsplit(url), urlsplit(urljoin(url, location))
        if target.scheme != base.scheme or not _is_same_host(base, target) or target.port not in (None, *ports):
            return None
        # With its host: otherwise a path that starts with two slashes would be parsed as one.
        return URL(urlunsplit(("http", "localhost", target.path, target.query, ""))).raw_path_qs
    except ValueError:  # not a valid URL
        return None


def _is_same_host(base: SplitResult, target: SplitResult) -> bool:
    hosts = base.hostname or "", target.hostname or ""
    return hosts[0] == hosts[1] or all(is_own_host(host) for host in hosts)
