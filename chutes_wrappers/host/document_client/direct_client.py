"""A client of the services in an instance: it knows their specifications, and the routes that none describes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chutes_wrappers.core.cord_plan import PlannedCord
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.document_client.direct_request import DirectRequest
from chutes_wrappers.host.document_client.operation import Operation
from chutes_wrappers.host.document_client.operation_examples import build_example
from chutes_wrappers.host.document_client.operation_request import build_request
from chutes_wrappers.host.document_client.route_operation import read_route_operation
from chutes_wrappers.host.document_client.service_document import Link, ServiceDocument, ServiceDocuments
from chutes_wrappers.host.parity.stories import StorySource

# The runtime expressions of OpenAPI's Link Object that a response's JSON or the request's parameters resolve.
_EXPRESSION = re.compile(
    r"\{?\$(?:response\.body#(?P<pointer>(?:/[^{}]*)?)|request\.(?:path|query|header|body#)[./](?P<field>[^/{}.]+))\}?"
)


@dataclass(frozen=True, kw_only=True)
class DirectClient:
    """Makes requests from the ``documents`` of the services, by port, and from a route where its document lacks it."""

    documents: Mapping[int, ServiceDocument | ServiceDocuments] = field(default_factory=dict)

    def find_operation(self, route: Route, port: int) -> Operation:
        """Return the operation of ``route`` on ``port``: the document's if it has one, otherwise the route's own."""
        document = self.documents.get(port)
        declared = document.find_operation(route.upstream_method, route.target_path) if document else None
        return declared or read_route_operation(route)

    def build_request(
        self, route: Route, port: int, example: Mapping[str, Any], header_names: Collection[str] = ()
    ) -> DirectRequest:
        """Return the service's own request for ``example``, the public JSON of a call, without made-up ``header_names``.

        Raises WrapperError with the reason when the operation cannot carry it.
        """
        return build_request(self.find_operation(route, port), port, example, header_names)

    def build_examples(self, cords: Iterable[PlannedCord]) -> dict[str, dict[str, Any]]:
        """Return the public JSON of an example call, by the name of the cord, for each cord that a document describes."""
        operations = {
            cord.name: self.find_operation(cord.route, cord.port)
            for cord in cords
            if cord.port in self.documents and cord.route.gradio is None
        }
        return {name: build_example(operation) for name, operation in operations.items() if operation.is_from_document}

    def find_links(self, cords: Sequence[PlannedCord]) -> dict[str, tuple[StorySource, ...]]:
        """Return the sources of parameters that the documents' links declare, by the name of the cord that needs them."""
        sources: dict[str, tuple[StorySource, ...]] = {}
        for port, document in self.documents.items():
            names = {
                (cord.route.upstream_method, cord.route.target_path): cord.name for cord in cords if cord.port == port
            }
            for link in document.list_links():
                source, target = _find_name(names, link.source), _find_name(names, link.target)
                if source and target:
                    sources[target] = (*sources.get(target, ()), *_read_sources(link, source))
        return sources


def _find_name(names: Mapping[tuple[str, str], str], operation: tuple[str, str]) -> str | None:
    """Return the name of the cord for method and path of a document, whose path lacks the server's prefix."""
    method, path = operation
    matches = (name for (cord_method, target), name in names.items() if cord_method == method and target.endswith(path))
    return min(matches, key=len, default=None)


def _read_sources(link: Link, source: str) -> tuple[StorySource, ...]:
    """Return what the runtime expressions of a link refer to; others, and constants, are left out."""
    sources = []
    for name, expression in link.parameters.items():
        parameter = name.rpartition(".")[2] if name.partition(".")[0] in ("path", "query", "header", "cookie") else name
        match = _EXPRESSION.fullmatch(expression) if isinstance(expression, str) else None
        if match and match["pointer"] is not None:
            sources.append(StorySource(parameter=parameter, source=source, pointer=match["pointer"]))
        elif match:
            sources.append(StorySource(parameter=parameter, source=source, field=match["field"]))
    return tuple(sources)
