"""The headers of a request that a chute's routes do not declare: what may be left out, and what must not. Pure.

A route carries its declared header and cookie parameters only. Headers that describe the connection or the client may be left out.
So may preferences that a server may ignore (RFC 9110, sections 7, 10.1, 12 and 13.2). Any other header may change what the
service does, so its request is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.forwarding.client_values import takes_other_cookies
from chutes_wrappers.host.forwarding.http_values import parse_cookies
from chutes_wrappers.runtime.tunnel_frames import Header
from chutes_wrappers.runtime.tunnel_request import find_hop_by_hop_names

AUTHORIZATION = "authorization"
_HARMLESS = frozenset({
    # The connection, and the framing of the body. The body's own type and coding are compared with it.
    "host", "content-length", "content-type", "content-encoding", "transfer-encoding", "via", "forwarded", "x-real-ip",
    "http2-settings", "alt-used", "x-envoy-external-address",
    # The client, its page and its user's preferences.
    "user-agent", "origin", "referer", "from", "dnt", "priority", "save-data", "upgrade-insecure-requests", "x-requested-with",
    "accept-charset", "accept-encoding", "accept-language", "early-data", "device-memory", "dpr", "width", "viewport-width",
    "rtt", "downlink", "ect", "purpose", "x-purpose", "x-moz", "x-client-data", "x-gradio-user",
    # Caches between client and service; a server may send the full response.
    "cache-control", "pragma", "if-modified-since",
    # Names of this request in logs and traces.
    "traceparent", "tracestate", "baggage", "sentry-trace", "x-request-id", "x-correlation-id", "x-amzn-trace-id", "b3",
    "uber-trace-id", "x-cloud-trace-context", "x-client-request-id", "newrelic", "date",
})  # fmt: skip
_HARMLESS_PREFIXES = (
    "sec-",
    "x-forwarded-",
    "x-stainless-",
    "x-b3-",
    "x-datadog-",
    "x-goog-api-client",
    "x-ms-client-",
)
# A whole representation: browsers ask for audio and video in this way.
_WHOLE_RANGE = re.compile(r"bytes\s*=\s*0-\s*")
_NEVER = re.compile(r"q\s*=\s*0(\.0*)?")
_READS = frozenset({"GET", "HEAD"})
# Clients that take whatever a service has ask for one of these: the openai client for a file's bytes with the last two.
_USUAL_TYPES = frozenset({"*/*", "application/*", "application/json", "application/octet-stream", "application/binary"})


def iter_undeclared(route: Route, method: str, headers: Sequence[Header]) -> Iterator[str]:
    """Yield what ``route`` cannot carry of ``headers``: names of headers, and ``the cookie x``.

    AUTHORIZATION is among them: the caller decides whether it may be left out.
    """
    declared = {parameter.name.lower() for parameter in route.parameters if parameter.place == "header"}
    cookies = {parameter.name for parameter in route.parameters if parameter.place == "cookie"}
    has_other_cookies = any(map(takes_other_cookies, route.parameters))
    hop_by_hop = find_hop_by_hop_names(headers)
    for name, value in headers:
        lower = name.lower()
        if lower in declared or lower in hop_by_hop or (lower == "cookie" and has_other_cookies):
            continue
        if lower == "cookie":
            yield from (f"the cookie {cookie}" for cookie, _ in parse_cookies([value]) if cookie not in cookies)
        elif not _is_harmless(route, method, lower, value.strip()):
            yield name if lower != AUTHORIZATION else AUTHORIZATION


def _is_harmless(route: Route, method: str, name: str, value: str) -> bool:
    if name in _HARMLESS or name.startswith(_HARMLESS_PREFIXES):
        return True
    if name == "accept":
        return _is_usual_choice(route, value)
    if name == "expect":
        return value.lower() == "100-continue"
    if name == "range":
        return method == "GET" and bool(_WHOLE_RANGE.fullmatch(value))
    # Without it a read gets the full response, but a write would lose its condition.
    return name == "if-none-match" and method in _READS


def _is_usual_choice(route: Route, accept: str) -> bool:
    """Return whether ``accept`` admits what the route is known to return, or is one that clients send everywhere."""
    declared = {(route.response.content_type if route.response else "").partition(";")[0].strip().lower()}
    streamed = {"text/event-stream"} if route.stream else set()
    for item in accept.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        is_refused = any(_NEVER.fullmatch(parameter) for parameter in parameters)
        if name in _USUAL_TYPES | declared | streamed and not is_refused:
            return True
    return not accept.strip()
