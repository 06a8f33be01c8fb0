"""What the platform delivers → the request to the service. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chutes_wrappers.core.routes import Route
from chutes_wrappers.runtime.bodies import encode_body, undeclared
from chutes_wrappers.runtime.call_errors import CallFailed, half_pair
from chutes_wrappers.runtime.parameters import address
from chutes_wrappers.runtime.upstream import UpstreamRequest

_BODILESS = frozenset({"GET", "DELETE"})


def make_request(route: Route, port: int, call: Mapping[str, Any]) -> UpstreamRequest:
    """The request that ``call`` (``{"json": body, "params": query}``) asks for. CallRefused names what does not fit."""
    body, query = call["json"], call["params"]
    fields = dict(body) if isinstance(body, Mapping) else {}
    method = route.upstream_method
    try:
        addressed = address(route, query, fields)
        left = fields if isinstance(body, Mapping) else body
        may_be_empty = method in _BODILESS or route.request_format.encoding == "none"
        encoded = encode_body(route.request or undeclared(left), left, may_be_empty=may_be_empty)
    except UnicodeEncodeError as error:
        raise half_pair({**query, **(body if isinstance(body, Mapping) else {"body": body})}) from error
    except RecursionError as error:
        raise CallFailed("the call is nested too deeply") from error
    headers = {"Content-Type": encoded.content_type} if encoded.content_type else {}
    return UpstreamRequest(
        port=port,
        method=method,
        target=addressed.target,
        headers={**headers, **addressed.headers},
        make_data=encoded.make,
    )
