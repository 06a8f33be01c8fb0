"""Conversion of a call from the platform to a request to the service. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chutes_wrappers.core.routes import Route
from chutes_wrappers.runtime.bodies import encode_body, infer_request_format
from chutes_wrappers.runtime.call_errors import CallFailed, make_surrogate_error
from chutes_wrappers.runtime.parameters import build_target
from chutes_wrappers.runtime.upstream import UpstreamRequest


def build_request(route: Route, port: int, call: Mapping[str, Any]) -> UpstreamRequest:
    """Return the request for ``call`` (``{"json": body, "params": query}``). Raises CallFailed for an invalid call."""
    body, query = call["json"], call["params"]
    fields = dict(body) if isinstance(body, Mapping) else {}
    try:
        built_target = build_target(route, query, fields)
        remaining = fields if isinstance(body, Mapping) else body
        encoded_body = encode_body(
            route.request or infer_request_format(remaining), remaining, may_be_empty=route.may_omit_body
        )
    except UnicodeEncodeError as error:
        raise make_surrogate_error({**query, **(body if isinstance(body, Mapping) else {"body": body})}) from error
    except RecursionError as error:
        raise CallFailed("the call is nested too deeply") from error
    headers = {"Content-Type": encoded_body.content_type} if encoded_body.content_type else {}
    return UpstreamRequest(
        port=port,
        method=route.upstream_method,
        target=built_target.target,
        headers={**headers, **built_target.headers},
        make_data=encoded_body.make,
    )
