"""HTTP sessions of ``requests``, and the rules for requests of the host. No other module creates such a session.

By itself ``requests`` sends the password of ``~/.netrc`` in place of the Authorization header that it was given, also after a
redirect. It keeps cookies, which know no port, and uses a proxy for this machine.
"""

from __future__ import annotations

import http.client
import importlib.util
import ipaddress
from collections.abc import Iterable
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, prepend_scheme_if_needed, select_proxy

from chutes_wrappers.core.errors import ConfigurationError

_LOOPBACK = "127.0.0.1"
# An API key, a password, or the account's signature (PLATFORM.md, section 5).
_LOGIN_HEADERS = frozenset({"authorization", "x-chutes-hotkey"})
# Of each header and of their number; http.client's own are 64 KiB and 100, and it has no setting for them.
MAX_HEADER_BYTES = 256 * 1024
MAX_HEADERS = 1000
vars(http.client).update(_MAXLINE=MAX_HEADER_BYTES, _MAXHEADERS=MAX_HEADERS)


def is_local_host(host: str) -> bool:
    """Return whether ``host`` is a loopback address, ``localhost`` or a name below it (RFC 6761, section 6.3)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return f".{host.lower()}".endswith(".localhost")


def can_carry_login(url: str) -> bool:
    """Return whether a login may be sent to ``url``: by https, or by http to this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_local_host(parts.hostname or ""))


def check_login(url: str, headers: Iterable[str]) -> None:
    """Raise ConfigurationError when a request to ``url`` with these names of headers would send a login unencrypted."""
    if _LOGIN_HEADERS.isdisjoint(name.lower() for name in headers) or can_carry_login(url):
        return
    raise ConfigurationError(
        f"a request to {urlsplit(url).hostname} would send your login unencrypted",
        next_step="use an https URL, or one of this machine, such as http://127.0.0.1:8000",
    )


def pin_local_name(url: str) -> tuple[str, str | None]:
    """Return ``url`` with 127.0.0.1 in place of a name below localhost, and the Host header for it; else ``url`` and None.

    Not every resolver knows these names, and one that does not may ask the network. By https, the certificate proves the name.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not (parts.hostname or "").lower().endswith(".localhost"):
        return url, None
    port = f":{parts.port}" if parts.port else ""
    pinned_url = urlunsplit((parts.scheme, f"{_LOOPBACK}{port}", parts.path, parts.query, parts.fragment))
    return pinned_url, parts.netloc.rpartition("@")[2]


def find_proxy(url: str, *, can_use_socks: bool = False) -> str | None:
    """Return the proxy for ``url`` from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in upper or lower case, or None.

    A URL of this machine has no proxy. Raises ConfigurationError for a proxy that is not a valid URL, or of another scheme than
    http, https and (with ``can_use_socks``) socks.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or is_local_host(parts.hostname or ""):
        return None
    proxies = get_environ_proxies(url)
    proxy: str | None = select_proxy(url, proxies)
    if not proxy:
        return None
    schemes = ("http", "https", *(("socks4", "socks4a", "socks5", "socks5h") if can_use_socks else ()))
    valid_proxy = _complete_proxy(proxy, schemes)
    if valid_proxy is None:
        # Without its value, which may contain a password.
        raise ConfigurationError(
            f"the proxy for {parts.scheme} is not a valid URL with one of the schemes {', '.join(schemes)}",
            where=f"{parts.scheme if parts.scheme in proxies else 'all'}_proxy".upper(),
            next_step=f"set it to a URL such as http://127.0.0.1:3128, or add {parts.hostname} to NO_PROXY",
        )
    return valid_proxy


def _complete_proxy(proxy: str, schemes: tuple[str, ...]) -> str | None:
    """Return the proxy's URL, with http as its default scheme; None when it is not valid."""
    try:
        url: str = prepend_scheme_if_needed(proxy, "http")  # type: ignore[no-untyped-call]  # requests has no types for it
        parts = urlsplit(url)
        return url if parts.scheme in schemes and parts.hostname and parts.port != 0 else None
    except ValueError:  # brackets or the port are invalid
        return None


def describe_unreadable(error: BaseException) -> str | None:
    """Return why a response could not be read, for an error of ``requests``; None if it is another error, such as no response."""
    causes = [
        error,
        *error.args,
        *(arg for outer in error.args if isinstance(outer, BaseException) for arg in outer.args),
    ]
    for cause in causes:
        if isinstance(cause, http.client.LineTooLong):
            return f"a header is longer than {MAX_HEADER_BYTES // 1024} KiB"
        if isinstance(cause, http.client.HTTPException) and not isinstance(
            cause, (ConnectionError, http.client.IncompleteRead)
        ):
            is_limit = type(cause) is http.client.HTTPException  # http.client's only one of this type
            return f"it has more than {MAX_HEADERS} headers" if is_limit else f"it is not HTTP ({str(cause)[:100]!r})"
    return None


class SessionRules(requests.Session):
    """A base class of sessions: no netrc, no proxy for this machine, and no redirects."""

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Return the request with no login but its own: for any auth, requests does not read netrc."""
        request.auth = request.auth or _keep_headers
        return super().prepare_request(request)

    def merge_environment_settings(self, url: Any, *settings: Any) -> Any:
        """Return the settings of requests, but with our proxy."""
        merged: Any = super().merge_environment_settings(url, *settings)
        proxy = find_proxy(url, can_use_socks=importlib.util.find_spec("socks") is not None)
        return {**merged, "proxies": {urlsplit(url).scheme: proxy} if proxy else {}}

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return None. Requests would read the complete body of each redirect, and send most headers to any host."""
        return None


class HostSession(SessionRules):
    """A session that sends every request through ``adapter``, keeps no cookies, and sends no login unencrypted.

    A context manager. ``request`` raises ConfigurationError as ``check_login`` and ``find_proxy`` do.
    """

    def __init__(self, adapter: HTTPAdapter | None = None) -> None:
        super().__init__()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self.mount(scheme, adapter or HTTPAdapter())

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send ``request``, by http to a name below localhost at 127.0.0.1."""
        check_login(str(request.url), request.headers)
        request.url, host = pin_local_name(str(request.url))
        if host is not None:
            request.headers.setdefault("Host", host)
        return super().send(request, **options)


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
