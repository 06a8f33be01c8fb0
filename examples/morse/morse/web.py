"""Requests, responses, and services as tables of routes, without sockets."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

_LOG = logging.getLogger(__name__)


class HTTPError(Exception):
    """An error response: the status, and a message for the client."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


@dataclass(frozen=True)
class Request:
    """The request of a handler; of a repeated query key the last value."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Message = field(default_factory=Message)
    body: bytes = b""

    def json(self) -> Any:
        """Parse the body as JSON; raises HTTPError 400 if it is not valid."""
        try:
            return json.loads(self.body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise HTTPError(400, "the body is not valid JSON") from error


@dataclass(frozen=True)
class Response:
    """The response of a handler."""

    body: bytes
    content_type: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Response]


@dataclass(frozen=True)
class Route:
    """One operation; ``operation`` is its OpenAPI description, empty for routes that are not in the document."""

    method: str
    path: str
    handler: Handler
    operation: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Service:
    """A named table of routes."""

    name: str
    routes: Sequence[Route]

    def respond(self, request: Request) -> Response:
        """Return the response to a request; never raises."""
        try:
            return self._find_handler(request)(request)
        except HTTPError as error:
            return make_error_response(error)
        except Exception:  # noqa: BLE001 - a bug in a handler costs one request, not the server
            _LOG.exception("%s: %s %s failed", self.name, request.method, request.path)
            return make_error_response(HTTPError(500, "internal error"))

    def _find_handler(self, request: Request) -> Handler:
        handlers = {route.method: route.handler for route in self.routes if route.path == request.path}
        if not handlers:
            raise HTTPError(404, f"not found: {request.path}")
        method = "GET" if request.method == "HEAD" else request.method
        if method not in handlers:
            raise HTTPError(
                405, f"{request.path} does not support {request.method}", {"Allow": ", ".join(sorted(handlers))}
            )
        return handlers[method]


def make_json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Make a JSON response."""
    return Response(json.dumps(value).encode(), "application/json", status, headers or {})


def make_error_response(error: HTTPError) -> Response:
    """Make a JSON response of an error: ``{"error": "…"}``."""
    return make_json_response({"error": error.message}, error.status, error.headers)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not valid JSON")
