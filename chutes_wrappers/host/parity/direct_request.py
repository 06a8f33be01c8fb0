"""A caller's example → the request that a client of the service itself would make. Pure.

The body is encoded by requests, not by our gateway: that the two agree is what a rehearsal shows.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

from chutes_wrappers.core.routes import RequestFormat, Route
from chutes_wrappers.runtime.parameters import address

_FILE_KEYS = {"filename", "content_type", "data"}
_BODILESS = ("GET", "DELETE")


@dataclass(frozen=True, kw_only=True)
class DirectRequest:
    """A request to the service: ``target`` is path and query as they go on the wire."""

    port: int
    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


def direct_request(
    route: Route, port: int, fields: Mapping[str, Any], query: Mapping[str, str] | None = None
) -> DirectRequest:
    """What a client sends to the service on ``port`` for a call of the chute with these JSON ``fields`` and this ``query``."""
    fields = dict(fields)
    addressed = address(route, query or {}, fields)
    sent = _body(route.request_format, fields, may_be_empty=route.upstream_method in _BODILESS)
    # As the gateway asks (runtime/upstream.py): services that show their caller's headers then show the same.
    headers = {"Accept-Encoding": "identity", **sent.pop("headers", {}), **addressed.headers}
    prepared = requests.Request(route.upstream_method, f"http://127.0.0.1:{port}/", headers=headers, **sent).prepare()
    body = prepared.body or b""
    return DirectRequest(
        port=port,
        method=route.upstream_method,
        target=addressed.target,
        headers={name: value for name, value in prepared.headers.items() if name != "Content-Length"},
        body=body.encode() if isinstance(body, str) else bytes(body),
    )


def _body(request: RequestFormat, fields: Mapping[str, Any], *, may_be_empty: bool) -> dict[str, Any]:
    encoding = request.encoding
    if not fields and (may_be_empty or encoding == "none"):
        return {}
    if encoding == "form":
        return {"data": [(name, _text(value)) for name, value in _flat(fields)]}
    if encoding == "multipart":
        return {"files": [(name, _part(value)) for name, value in _flat(fields)]}
    if encoding in ("text", "binary"):
        file = fields["data"] if isinstance(fields.get("data"), Mapping) else fields
        kind = (
            fields.get("content_type") or file.get("content_type") or request.content_type or "application/octet-stream"
        )
        data = fields.get("text", "").encode() if encoding == "text" else _bytes(file)
        return {"data": data, "headers": {"Content-Type": kind}}
    value = fields["body"] if request.wrapped or (request.wrapped is None and fields.keys() == {"body"}) else fields
    kind = request.content_type or "application/json"
    return {"data": json.dumps(value, ensure_ascii=False).encode(), "headers": {"Content-Type": kind}}


def _flat(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        yield from ((name, item) for item in (value if isinstance(value, list) else [value]))


def _part(value: Any) -> tuple[Any, ...]:
    if isinstance(value, Mapping) and "data" in value and set(value) <= _FILE_KEYS:
        return value.get("filename", "file"), _bytes(value), value.get("content_type")
    return None, _text(value)


def _bytes(file: Mapping[str, Any]) -> bytes:
    return base64.b64decode(file["data"])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
