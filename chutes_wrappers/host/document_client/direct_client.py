"""A client of the services in an instance: it knows their specifications, and the routes that none describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.document_client.direct_request import DirectRequest
from chutes_wrappers.host.document_client.operation import Operation
from chutes_wrappers.host.document_client.operation_examples import build_example
from chutes_wrappers.host.document_client.operation_request import build_request
from chutes_wrappers.host.document_client.route_operation import read_route_operation
from chutes_wrappers.host.document_client.service_document import ServiceDocument


@dataclass(frozen=True, kw_only=True)
class DirectClient:
    """Makes requests from the ``documents`` of the services, by port, and from a route where its document lacks it."""

    documents: Mapping[int, ServiceDocument] = field(default_factory=dict)

    def find_operation(self, route: Route, port: int) -> Operation:
        """Return the operation of ``route`` on ``port``: the document's if it has one, otherwise the route's own."""
        document = self.documents.get(port)
        declared = document.find_operation(route.upstream_method, route.target_path) if document else None
        return declared or read_route_operation(route)

    def build_request(self, route: Route, port: int, example: Mapping[str, Any]) -> DirectRequest:
        """Return the service's own request for ``example``, the public JSON of a call.

        Raises WrapperError with the reason when the operation cannot carry it.
        """
        return build_request(self.find_operation(route, port), port, example)

    def build_example(self, route: Route, port: int) -> dict[str, Any] | None:
        """Return the public JSON of an example call from the document of ``port``; None if it does not describe the route."""
        operation = self.find_operation(route, port)
        return build_example(operation) if operation.is_from_document else None
