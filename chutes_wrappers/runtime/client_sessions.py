"""HTTP sessions of aiohttp, with our limits in place of its own. No other module creates a session, but ``emulator/runner.py``.

By itself aiohttp refuses a header of 8 KiB and more than 128 headers, and ends each request after 300 s.
"""

from __future__ import annotations

import inspect
from typing import Any

import aiohttp

from chutes_wrappers.runtime.response_heads import MAX_HEAD_BYTES

# A busy service lets connections wait. SYN retransmits back off: 1, 3, 7, 15, 31 s.
CONNECT_TIMEOUT_S = 60.0
# A line, a header and their number are limited by the head as a whole. "a:b" and a line end are the shortest header.
_PARSER_LIMITS = {"max_line_size": MAX_HEAD_BYTES, "max_field_size": MAX_HEAD_BYTES, "max_headers": MAX_HEAD_BYTES // 4}
_SUPPORTED_LIMITS = {
    name: value
    for name, value in _PARSER_LIMITS.items()
    if name in inspect.signature(aiohttp.ClientSession.__init__).parameters
}


class _OtherMethods(set[str]):
    """Every method but those whose requests have a content (RFC 9110, section 8.6)."""

    def __contains__(self, method: object) -> bool:
        return method not in ("POST", "PUT", "PATCH", "QUERY")


class ExactRequest(aiohttp.ClientRequest):
    """A request without the ``Content-Length: 0`` that aiohttp adds to a DELETE, and to each method that it does not know."""

    GET_METHODS = _OtherMethods()


def open_client_session(connector: aiohttp.BaseConnector, **options: Any) -> aiohttp.ClientSession:
    """Return a session without cookies, which takes every head of MAX_HEAD_BYTES.

    A request has no timeout but that for its connection, CONNECT_TIMEOUT_S, unless ``options`` (those of aiohttp.ClientSession)
    or the request set one.
    """
    settings: dict[str, Any] = {
        "cookie_jar": aiohttp.DummyCookieJar(),
        "request_class": ExactRequest,
        "timeout": aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
        **_SUPPORTED_LIMITS,
        **options,
    }
    return aiohttp.ClientSession(connector=connector, **settings)


def describe_unreadable(error: aiohttp.ClientResponseError) -> str:
    """Return, in one line of at most 200 characters, why a response could not be read."""
    return " ".join(error.message.split())[:200] or type(error).__name__
