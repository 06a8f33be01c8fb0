"""Small specifications with one operation, and the request that the direct client makes from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chutes_wrappers.host.document_client.direct_request import DirectRequest
from chutes_wrappers.host.document_client.operation import Operation
from chutes_wrappers.host.document_client.operation_request import build_request
from chutes_wrappers.host.document_client.service_document import ServiceDocument

PORT = 8020


def make_document(
    operation: Mapping[str, Any], *, path: str = "/x", method: str = "get", version: str = "3.1.1", **rest: Any
) -> dict[str, Any]:
    """Return a document with one operation; ``rest`` are other keys of the document, such as ``components``."""
    key = "swagger" if version == "2.0" else "openapi"
    return {key: version, "info": {"title": "t", "version": "1"}, "paths": {path: {method: dict(operation)}}, **rest}


def read_operation(operation: Mapping[str, Any], *, path: str = "/x", method: str = "get", **rest: Any) -> Operation:
    document = ServiceDocument(make_document(operation, path=path, method=method, **rest))
    found = document.find_operation(method.upper(), path)
    assert found is not None
    return found


def make_request(operation: Mapping[str, Any], example: Mapping[str, Any], **rest: Any) -> DirectRequest:
    return build_request(read_operation(operation, **rest), PORT, example)


def make_parameter(name: str, place: str, schema: Any = None, **rest: Any) -> dict[str, Any]:
    return {"name": name, "in": place, **({"schema": schema} if schema is not None else {}), **rest}


def make_body(content: Mapping[str, Any], **rest: Any) -> dict[str, Any]:
    return {"requestBody": {"content": dict(content), **rest}}
