"""Conversion of addresses between a client of this machine and the service on the instance, as a reverse proxy does. Pure.

Services check ``Host`` and ``Origin`` (Jupyter accepts this machine only), and build URLs from ``Host``. So they see their own
address, and the client's in ``X-Forwarded-Host``. Foreign names are not changed: a service that rejects them protects itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from chutes_wrappers.host.forwarding.local_names import (
    SERVICE_NAMES,
    Authority,
    LocalNames,
    get_header,
    parse_authority,
    parse_client_host,
    parse_client_scheme,
)
from chutes_wrappers.runtime.tunnel_frames import Head, Header, TunnelCall

_SERVICE_HOST = "127.0.0.1"
# A URL at the start of a value, in <> (Link), or after url= (Refresh): never one inside the query of another URL.
_URL = re.compile(
    r"""(?P<before>^|<|\burl\s*=\s*["']?)(?P<scheme>https?:|)//(?P<authority>[^\s/?#<>"',;]+)""", re.IGNORECASE
)
_REQUEST_URLS = frozenset({"referer", "destination"})  # Destination: WebDAV
_RESPONSE_URLS = frozenset({"location", "content-location", "link", "refresh", "access-control-allow-origin"})
_COOKIE_DOMAIN = re.compile(r";\s*domain\s*=\s*\.?(127\.0\.0\.1|localhost|\[::1\])\s*(?=;|$)", re.IGNORECASE)


def map_call(names: LocalNames, call: TunnelCall) -> TunnelCall:
    """Return ``call`` with the service's address where the client used one of ours."""
    host = parse_client_host(call.headers)
    return replace(call, headers=tuple(_map_request_headers(names, host, call)))


def map_head(names: LocalNames, call: TunnelCall, head: Head) -> Head:
    """Return the head of the response to the client's ``call``, with the client's addresses for those of the services."""
    mapping = _ResponseMapping(
        names=names,
        host=parse_client_host(call.headers),
        scheme=parse_client_scheme(call.headers),
        client_origin=get_header(call.headers, "origin"),
        service_origin=get_header(map_call(names, call).headers, "origin"),
    )
    return replace(head, headers=tuple((name, mapping.map_value(name.lower(), value)) for name, value in head.headers))


def _map_request_headers(names: LocalNames, host: Authority, call: TunnelCall) -> Iterator[Header]:
    is_own = names.is_own_host(host)
    for name, value in call.headers:
        lower = name.lower()
        if lower == "host" and is_own:
            yield name, f"{_SERVICE_HOST}:{names.service_port}"
        elif lower == "origin":
            # What would look like the service's own page, and is not, is an unknown page.
            yield name, "null" if (url := _map_client_url(names, host, value)) is None else url
        elif lower in _REQUEST_URLS:
            if (url := _map_client_url(names, host, value)) is not None:
                yield name, url
        else:
            yield name, value
    if is_own and not get_header(call.headers, "x-forwarded-host"):
        yield "X-Forwarded-Host", get_header(call.headers, "host")
    if is_own and not get_header(call.headers, "x-forwarded-proto"):
        yield "X-Forwarded-Proto", "http"


def _map_client_url(names: LocalNames, host: Authority, url: str) -> str | None:
    """Map a client's URL; None for the address of another program that is also a service's address on the instance."""
    match = _URL.match(url)
    authority = match and parse_authority(match["authority"], _get_scheme_name(match["scheme"]))
    if match is None or authority is None:
        return url
    port = names.find_service_port(authority, host)
    if port is not None:
        return f"http://{_SERVICE_HOST}:{port}{url[match.end() :]}"
    is_service = authority.name in SERVICE_NAMES and authority.port in names.service_ports.values()
    return None if is_service and authority != host else url


@dataclass(frozen=True, kw_only=True)
class _ResponseMapping:
    names: LocalNames
    host: Authority
    scheme: str
    client_origin: str
    service_origin: str

    def map_value(self, name: str, value: str) -> str:
        """Return the value of the header with the lower-case ``name`` for the client."""
        if name == "access-control-allow-origin" and value == self.service_origin:
            return self.client_origin or value
        if name in _RESPONSE_URLS:
            return _URL.sub(self._map_url, value)
        return _COOKIE_DOMAIN.sub("", value) if name == "set-cookie" else value

    def _map_url(self, match: re.Match[str]) -> str:
        authority = parse_authority(match["authority"], _get_scheme_name(match["scheme"]))
        client = authority and self.names.find_client_authority(authority, self.host)
        if client is None:
            return match[0]
        return f"{match['before']}{self.scheme + ':' if match['scheme'] else ''}//{client}"


def _get_scheme_name(scheme: str) -> str:
    return scheme.lower().removesuffix(":") or "http"
