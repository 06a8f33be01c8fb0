"""Separation of a chute's cookies from those of other programs on this machine. Pure.

A browser sends the cookies of 127.0.0.1 to every port of it, and lets every port set them. Scripts of a page read most of them. So
no page of a chute is opened there: a browser's navigation is redirected to the chute's own name. Its other requests there lose
their cookies. Requests of other clients are not changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from chutes_wrappers.host.forwarding.local_names import (
    Authority,
    LocalNames,
    get_header,
    parse_client_host,
    parse_client_scheme,
)
from chutes_wrappers.runtime.tunnel_frames import Header, TunnelCall

# Browsers before Fetch Metadata (Safari before 16.4). Other programs that begin with "Mozilla/5.0" do not name a browser.
_BROWSER = re.compile(r"Mozilla/5\.0 \(.+(?:Safari|Firefox)/[0-9.]+")
_COOKIES = frozenset({"cookie", "cookie2"})
# Clear-Site-Data deletes the cookies of all ports.
_COOKIE_CHANGES = frozenset({"set-cookie", "set-cookie2", "clear-site-data"})


def has_shared_cookies(names: LocalNames, headers: Sequence[Header]) -> bool:
    """Whether a request is a browser's, under a name that other programs of this machine have cookies for."""
    return _is_browser(headers) and names.is_shared_host(parse_client_host(headers))


def find_redirect(names: LocalNames, call: TunnelCall) -> str | None:
    """Return the URL under the chute's own name to which ``call`` is redirected; None for a call that is forwarded.

    A navigation has the mode ``navigate`` (W3C Fetch Metadata): of a tab, and of a frame, whose scripts would read cookies, too.
    """
    mode = get_header(call.headers, "sec-fetch-mode").lower()
    is_navigation = mode == "navigate" or (not mode and bool(get_header(call.headers, "upgrade-insecure-requests")))
    if not is_navigation or not call.target.startswith("/") or not has_shared_cookies(names, call.headers):
        return None
    authority = Authority(name=names.browser_name, port=parse_client_host(call.headers).port)
    return f"{parse_client_scheme(call.headers)}://{authority}{call.target}"


def remove_cookies(headers: Sequence[Header]) -> tuple[Header, ...]:
    """Return a request's headers without its cookies."""
    return tuple(header for header in headers if header[0].lower() not in _COOKIES)


def remove_cookie_changes(headers: Sequence[Header]) -> tuple[Header, ...]:
    """Return a response's headers without those that set or delete cookies."""
    return tuple(header for header in headers if header[0].lower() not in _COOKIE_CHANGES)


def _is_browser(headers: Sequence[Header]) -> bool:
    # Node's fetch() sends Sec-Fetch-Mode alone.
    if get_header(headers, "sec-fetch-site"):
        return True
    return _BROWSER.match(get_header(headers, "user-agent")) is not None
