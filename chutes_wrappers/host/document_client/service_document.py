"""A service's specification, as its clients read it: Swagger 2.0 and OpenAPI 3.0, 3.1, 3.2. Pure.

This module shares no code with discovery's readers of operations: what they lose is seen by the parity check.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urlsplit

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.path_templates import normalise_template
from chutes_wrappers.host.discovery.documents import parse_document
from chutes_wrappers.host.document_client.document_bodies import read_body
from chutes_wrappers.host.document_client.document_nodes import Nodes, get_list, get_mapping, get_text
from chutes_wrappers.host.document_client.document_parameters import read_credentials, read_parameters
from chutes_wrappers.host.document_client.operation import Operation

_FIXED_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace", "query"})
_VARIABLE = re.compile(r"\{[^{}]*\}")
_MAX_SERVERS = 20


@dataclass(frozen=True, kw_only=True)
class Link:
    """A Link Object of OpenAPI 3: ``parameters`` of ``target`` are expressions about request and response of ``source``.

    Both are method and path, without the server's prefix.
    """

    source: tuple[str, str]
    target: tuple[str, str]
    parameters: Mapping[str, Any]


class ServiceDocument:
    """The operations of one specification."""

    def __init__(self, document: Mapping[str, Any], nodes: Nodes | None = None) -> None:
        self.nodes = nodes or Nodes(document)
        self._found: dict[tuple[str, str], Operation | None] = {}
        self._items = {
            path: self.nodes.resolve(node)
            for path, node in get_mapping(document, "paths").items()
            if path.startswith("/")
        }

    def find_operation(self, method: str, target_path: str) -> Operation | None:
        """Return the operation at ``target_path``, a template with the server's prefix; None without one.

        A path whose prefix is that of a declared server is preferred, then the longest declared path.
        """
        key = method, target_path
        if key not in self._found:
            self._found[key] = self._read_operation(method, target_path)
        return self._found[key]

    def rank_operation(self, method: str, target_path: str) -> tuple[bool, int, str]:
        """Return how well the path of an operation of this document fits: of several documents, the highest rank is meant."""
        best = self._find_best(method, target_path)
        return best[:3] if best else (False, 0, "")

    def _find_best(
        self, method: str, target_path: str
    ) -> tuple[bool, int, str, dict[str, Any], Mapping[str, Any]] | None:
        candidates = [
            (self._is_server_prefix(item, node, prefix), len(path), path, item, node)
            for path, prefix, item in self._find_items(target_path)
            if (node := _find_node(self.nodes, item, method)) is not None
        ]
        return max(candidates, key=lambda candidate: candidate[:3], default=None)

    def _read_operation(self, method: str, target_path: str) -> Operation | None:
        best = self._find_best(method, target_path)
        if best is None:
            return None
        _, _, _, item, node = best
        parameters = read_parameters(self.nodes, item, node, target_path)
        return Operation(
            method=method,
            path=target_path,
            nodes=self.nodes,
            parameters=(*parameters, *read_credentials(self.nodes, node, parameters)),
            body=read_body(self.nodes, item, node),
            is_from_document=True,
        )

    def list_links(self) -> list[Link]:
        """Return the links that the responses declare, as far as their targets are operations of this document."""
        operations = [
            (method, path, node)
            for path, item in self._items.items()
            for method, node in _iterate_nodes(self.nodes, item)
        ]
        targets = {get_text(node, "operationId"): (method, path) for method, path, node in operations}
        links = []
        for method, path, node in operations:
            for target, parameters in self._iterate_links(node):
                name = get_text(target, "operationId")
                key = (targets.get(name) if name else None) or _parse_operation_reference(
                    get_text(target, "operationRef")
                )
                if key:
                    links.append(Link(source=(method, path), target=key, parameters=parameters))
        return links

    def _iterate_links(self, node: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        for response in get_mapping(node, "responses").values():
            for link in get_mapping(self.nodes.resolve(response), "links").values():
                target = self.nodes.resolve(link)
                yield target, get_mapping(target, "parameters")

    def _find_items(self, target_path: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield declared path, prefix and path item of each path that ``target_path`` ends with."""
        shape = _make_shape(target_path)
        for path, item in self._items.items():
            declared = next(filter(shape.endswith, self._shapes[path]), None)
            if declared is not None:
                yield path, shape[: len(shape) - len(declared)], item

    @cached_property
    def _shapes(self) -> dict[str, tuple[str, str]]:
        """The declared paths with their variables as ``{}``: as they are, and as routes have them."""
        return {
            path: (
                _VARIABLE.sub("{}", path),
                _VARIABLE.sub("{}", normalise_template(path, self._list_names(item)).text),
            )
            for path, item in self._items.items()
        }

    def _list_names(self, item: Mapping[str, Any]) -> set[str]:
        owners = (item, *(node for _, node in _iterate_nodes(self.nodes, item)))
        return {
            get_text(self.nodes.resolve(node), "name") for owner in owners for node in get_list(owner, "parameters")
        }

    def _is_server_prefix(self, item: Mapping[str, Any], node: Mapping[str, Any], prefix: str) -> bool:
        for owner in (node, item, self.nodes.document):
            prefixes = _read_prefixes(owner)
            if prefixes:
                return any(prefix.endswith(each) and (each or not prefix) for each in prefixes)
        return not prefix


class ServiceDocuments:
    """The operations of all specifications of one service, which may publish several."""

    def __init__(self, documents: Sequence[ServiceDocument]) -> None:
        self._documents = tuple(documents)

    def find_operation(self, method: str, target_path: str) -> Operation | None:
        """Return the operation at ``target_path`` of the document that fits best, the first of equal ones; None without one."""
        best = max(self._documents, key=lambda document: document.rank_operation(method, target_path), default=None)
        return best.find_operation(method, target_path) if best else None

    def list_links(self) -> list[Link]:
        """Return the links of every document."""
        return [link for document in self._documents for link in document.list_links()]


def read_service_document(
    data: bytes,
    content_type: str = "",
    location: str = "/",
    read_file: Callable[[str], bytes | None] = lambda path: None,
) -> ServiceDocument:
    """Return the specification in a response of the service, whose path was ``location``.

    ``read_file`` returns another file of the service that the specification refers to. Raises WrapperError, which says what
    the response is instead.
    """

    def load(path: str) -> Any:
        content = read_file(path)
        with contextlib.suppress(WrapperError):
            return parse_document(content) if content is not None else None
        return None

    document = parse_document(data, content_type)
    return ServiceDocument(document, Nodes(document, location, load))


def _make_shape(path: str) -> str:
    """Return a template with its variables as ``{}``, and its literal text decoded."""
    return "{}".join(map(unquote, _VARIABLE.split(path)))


def _find_node(nodes: Nodes, item: Mapping[str, Any], method: str) -> dict[str, Any] | None:
    return next((node for name, node in _iterate_nodes(nodes, item) if name == method), None)


def _iterate_nodes(nodes: Nodes, item: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield method and node of each operation of a path item; OpenAPI 3.2 has other methods beside the fixed ones."""
    for key, node in item.items():
        if key.lower() in _FIXED_METHODS and isinstance(node, Mapping):
            yield key.upper(), nodes.resolve(node)
    for method, node in get_mapping(item, "additionalOperations").items():
        if isinstance(node, Mapping):
            yield method, nodes.resolve(node)


def _parse_operation_reference(reference: str) -> tuple[str, str] | None:
    """Return method and path of ``#/paths/~1items~1{id}/get``."""
    tokens = [unquote(token).replace("~1", "/").replace("~0", "~") for token in reference.split("/")]
    return (tokens[3].upper(), tokens[2]) if len(tokens) == 4 and tokens[:2] == ["#", "paths"] else None


def _read_prefixes(node: Mapping[str, Any]) -> list[str]:
    if isinstance(node.get("basePath"), str):
        return [_normalise_prefix(node["basePath"])]
    return [
        _normalise_prefix(_fill_server(server))
        for server in get_list(node, "servers")[:_MAX_SERVERS]
        if isinstance(server, Mapping)
    ]


def _fill_server(server: Mapping[str, Any]) -> str:
    url = get_text(server, "url")[:2000]
    for name, variable in get_mapping(server, "variables").items():
        default = variable.get("default") if isinstance(variable, Mapping) else None
        url = url.replace("{" + name + "}", str(default)[:200]) if default is not None else url
    return url[:4000]


def _normalise_prefix(url: str) -> str:
    try:
        path = unquote(urlsplit(url).path)
    except ValueError:
        return ""
    return "/" + path.strip("/") if path.strip("/") else ""
