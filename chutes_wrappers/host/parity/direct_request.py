"""The request that a client of the service itself would send for a caller's example. Pure.

The body is encoded by requests, not by our gateway: the parity check verifies that both agree.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import requests

from chutes_wrappers.core.platform_rules import BODILESS_METHODS
from chutes_wrappers.core.routes import RequestFormat, Route
from chutes_wrappers.host.document_client.direct_request import DirectRequest
from chutes_wrappers.runtime.parameters import build_target

_FILE_KEYS = {"filename", "content_type", "data"}


def build_direct_request(
    route: Route, port: int, fields: Mapping[str, Any], query: Mapping[str, str] | None = None
) -> DirectRequest:
    """Return a client's request to the service on ``port`` for a call of the chute with these ``fields`` and ``query``."""
    fields = dict(fields)
    parameters = build_target(route, query or {}, fields)
    body_arguments = _build_body_arguments(
        route.request_format, fields, may_be_empty=route.upstream_method in BODILESS_METHODS
    )
    # The same as the gateway's (runtime/upstream.py), so that services that return the request's headers return the same.
    headers = {"Accept-Encoding": "identity", **body_arguments.pop("headers", {}), **parameters.headers}
    prepared = requests.Request(
        route.upstream_method, f"http://127.0.0.1:{port}/", headers=headers, **body_arguments
    ).prepare()
    body = prepared.body or b""
    return DirectRequest(
        port=port,
        method=route.upstream_method,
        target=parameters.target,
        headers={name: value for name, value in prepared.headers.items() if name != "Content-Length"},
        body=body.encode() if isinstance(body, str) else bytes(body),
    )


def _build_body_arguments(request: RequestFormat, fields: Mapping[str, Any], *, may_be_empty: bool) -> dict[str, Any]:
    encoding = request.encoding
    if not fields and (may_be_empty or encoding == "none"):
        return {}
    if encoding == "form":
        return {"data": [(name, _format_text(value)) for name, value in _flatten_fields(fields)]}
    if encoding == "multipart":
        return {"files": [(name, _build_part(value)) for name, value in _flatten_fields(fields)]}
    if encoding in ("text", "binary"):
        file = fields["data"] if isinstance(fields.get("data"), Mapping) else fields
        content_type = (
            fields.get("content_type") or file.get("content_type") or request.content_type or "application/octet-stream"
        )
        data = fields.get("text", "").encode() if encoding == "text" else _decode_file(file)
        return {"data": data, "headers": {"Content-Type": content_type}}
    value = fields["body"] if request.wrapped or (request.wrapped is None and fields.keys() == {"body"}) else fields
    content_type = request.content_type or "application/json"
    return {"data": json.dumps(value, ensure_ascii=False).encode(), "headers": {"Content-Type": content_type}}


def _flatten_fields(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        yield from ((name, item) for item in (value if isinstance(value, list) else [value]))


def _build_part(value: Any) -> tuple[Any, ...]:
    if isinstance(value, Mapping) and "data" in value and set(value) <= _FILE_KEYS:
        return value.get("filename", "file"), _decode_file(value), value.get("content_type")
    return None, _format_text(value)


def _decode_file(file: Mapping[str, Any]) -> bytes:
    return base64.b64decode(file["data"])


def _format_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
