"""The local guard: which requests a server on this machine accepts, decided by their headers alone. Pure.

A web page of another site can make its visitor's browser send requests to 127.0.0.1. It can also point its own host name at
127.0.0.1 (DNS rebinding), and then read the responses. Both are visible in the headers: the name in ``Host``, the page's
site in ``Origin`` or ``Sec-Fetch-Site`` (W3C Fetch Metadata). A program that is not a browser may send any headers, so
servers that act for a user also need a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chutes_wrappers.core.errors import ConfigurationError

Header = tuple[str, str]

REFUSAL_STATUS = 403
# These pass the user's allow list to a dev run: names separated by commas.
_HOSTS_VARIABLE = "CHUTES_WRAPPERS_ALLOW_HOSTS"
_ORIGINS_VARIABLE = "CHUTES_WRAPPERS_ALLOW_ORIGINS"
_LOOPBACK = re.compile(r"127\.0\.0\.1|\[::1\]|(?:[a-z0-9_-]+\.)*localhost")
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\s:/?#@\[\]]+)(?::[0-9]{0,5})?")
_ORIGIN = re.compile(r"https?://(?P<host>(?:\[[0-9a-f:.]+\]|[^\s:/?#@\[\]*]+)(?::[0-9]{1,5})?)")
_NAME = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_TRUSTED_SITES = frozenset({"same-origin", "none"})
_FRAMES = frozenset({"iframe", "frame", "embed", "object"})
_PURPOSES = ("sec-purpose", "purpose", "x-purpose", "x-moz")


@dataclass(frozen=True, kw_only=True)
class AllowList:
    """Hosts and origins that a user allows in addition to this machine.

    ``hosts`` are names without a port, ``origins`` are ``scheme://host[:port]``. Both are in lower case;
    ``parse_allow_list`` builds them from what was typed.
    """

    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()


def parse_allow_list(hosts: Sequence[str], origins: Sequence[str]) -> AllowList:
    """Parse names and origins as typed. Raises ConfigurationError for one that is not a single name or origin."""
    name = "give one name without scheme, port or '*', such as --allow-host box.example"
    origin = "give scheme, host and port without '*' or a path, such as --allow-origin https://app.example"
    return AllowList(
        hosts=frozenset(_parse_value(each, _NAME, "--allow-host", "host name", name) for each in hosts),
        origins=frozenset(_parse_value(each, _ORIGIN, "--allow-origin", "origin", origin) for each in origins),
    )


def _parse_value(text: str, pattern: re.Pattern[str], flag: str, kind: str, next_step: str) -> str:
    if not pattern.fullmatch(text.lower()):
        raise ConfigurationError(f"{text!r} is not a valid {kind}", where=flag, next_step=next_step)
    return text.lower()


def environment_from_allow_list(allowed: AllowList) -> dict[str, str]:
    """Return the variables that pass ``allowed`` to another process; ``allow_list_from_environment`` reads them.

    Both variables are always set, so that variables of an image or a shell allow nothing.
    """
    values = {_HOSTS_VARIABLE: allowed.hosts, _ORIGINS_VARIABLE: allowed.origins}
    return {name: ",".join(sorted(each)) for name, each in values.items()}


def allow_list_from_environment(environment: Mapping[str, str]) -> AllowList:
    """Read what ``environment_from_allow_list`` wrote. Raises ConfigurationError for anything else."""
    hosts, origins = environment.get(_HOSTS_VARIABLE, ""), environment.get(_ORIGINS_VARIABLE, "")
    return parse_allow_list([*filter(None, hosts.split(","))], [*filter(None, origins.split(","))])


@dataclass(frozen=True, kw_only=True)
class LocalGuard:
    """The rule of one server.

    ``Host`` must name this machine: 127.0.0.1, [::1], localhost or a name below it. Any port is accepted, since published
    ports and tunnels change it. A host of ``allowed``, or one that ``is_own_host`` accepts, is accepted too. An ``Origin`` must
    be the server's own or one of ``allowed``; with ``loopback_origins`` any page of this machine is accepted. A page under a name
    below localhost is not one, unless ``is_own_host`` accepts the name: it may be the page of a forwarded chute. Without an
    ``Origin``, ``Sec-Fetch-Site`` decides, except for navigations by GET: at top level, and with ``loopback_origins`` in a frame of
    a page of this machine. Its names are several sites for a browser, so ``Referer`` decides, which no page can forge.
    """

    loopback_origins: bool
    allowed: AllowList = AllowList()
    is_own_host: Callable[[str], bool] = lambda name: False

    def find_refusal(self, method: str, headers: Sequence[Header]) -> str | None:
        """Return why a request with these headers is refused, as a sentence; None if it is accepted."""
        lower_headers = [(name.lower(), value.strip().lower()) for name, value in headers]
        hosts = [value for name, value in lower_headers if name == "host"]
        if len(hosts) != 1 or not self._is_host(hosts[0]):
            return (
                f"The host {_format_values(hosts)} is not this machine. Use 127.0.0.1, or start with --allow-host NAME."
            )
        origins = [value for name, value in lower_headers if name == "origin"]
        if not origins:
            return self._find_site_refusal(method, hosts[0], dict(lower_headers))
        if len(origins) == 1 and self._is_origin(origins[0], hosts[0]):
            return None
        if origins == ["null"]:
            return "Pages without a site, such as files, may not call this server. Serve the page over http first."
        return f"Pages of {_format_values(origins)} may not call this server. To let them, start with --allow-origin ORIGIN."

    def _is_host(self, host: str) -> bool:
        parts = _HOST.fullmatch(host)
        if parts is None:
            return False
        name = parts["name"]
        return bool(_LOOPBACK.fullmatch(name)) or name in self.allowed.hosts or self.is_own_host(name)

    def _is_origin(self, origin: str, host: str) -> bool:
        parts = _ORIGIN.fullmatch(origin)
        if parts is None:
            return False
        if parts["host"] == host or origin in self.allowed.origins:
            return True
        return bool(_LOOPBACK.fullmatch(_parse_name(parts["host"]))) and self._has_local_pages(parts["host"])

    def _has_local_pages(self, host: str) -> bool:
        name = _parse_name(host)
        is_own = name in self.allowed.hosts or self.is_own_host(name)
        return self.loopback_origins and (is_own or not name.endswith(".localhost"))

    def _find_site_refusal(self, method: str, host: str, lower_headers: dict[str, str]) -> str | None:
        site = lower_headers.get("sec-fetch-site")
        # A prefetch is not a navigation of the user. For one by a foreign page, browsers may send the site as "none".
        is_prefetch = any(lower_headers.get(name, "").startswith("prefetch") for name in _PURPOSES)
        is_trusted_site = (
            site is None or site in _TRUSTED_SITES or (site == "same-site" and self._has_local_pages(host))
        )
        if is_prefetch and site != "same-origin":
            is_trusted_site = False
        is_navigation = (method, lower_headers.get("sec-fetch-mode")) == ("GET", "navigate") and not is_prefetch
        destination = lower_headers.get("sec-fetch-dest")
        is_frame = destination in _FRAMES and self._is_local_page(lower_headers.get("referer", ""), host)
        if is_trusted_site or (is_navigation and (destination == "document" or is_frame)):
            return None
        return "Pages of another site may not load this. Use its URL under the page's own host name, or fetch() with --allow-origin."

    def _is_local_page(self, referrer: str, host: str) -> bool:
        return self.loopback_origins and self._is_origin("/".join(referrer.split("/", 3)[:3]), host)


def _parse_name(host: str) -> str:
    parts = _HOST.fullmatch(host)
    return parts["name"] if parts is not None else ""


def _format_values(values: Sequence[str]) -> str:
    return " and ".join(repr(value[:100]) for value in values) or "(none)"
