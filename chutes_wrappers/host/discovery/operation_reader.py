"""The request, the response and the schemas of one operation of a specification, as a route. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.routes import STREAM_SWITCH, Parameter, RequestFormat, ResponseHint, Route
from chutes_wrappers.host.discovery import declared_media, operation_parameters, request_bodies
from chutes_wrappers.host.discovery.notes import describe_other_responses
from chutes_wrappers.host.discovery.operation_parameters import DeclaredParameter
from chutes_wrappers.host.discovery.path_items import DeclaredOperation
from chutes_wrappers.host.discovery.references import ReadingTime
from chutes_wrappers.host.discovery.request_bodies import Body
from chutes_wrappers.host.discovery.schemas import MAX_SCHEMA_BYTES, make_self_contained, measure_size
from chutes_wrappers.host.discovery.security import SecurityReader, merge_credentials
from chutes_wrappers.host.discovery.server_notes import find_server_notes, find_variable_notes
from chutes_wrappers.host.discovery.shapes import Shapes

MAX_SUMMARY_LENGTH = 120
MAX_NOTES = 5_000
# For all schemas of one document. A schema that is too large uses its full limit, so malicious graphs stay cheap.
MAX_TOTAL_SCHEMA_BYTES = 16 * 1024**2

_T = TypeVar("_T")
_BODILESS = ("GET", "DELETE", "OPTIONS", "TRACE")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An operation with its route before the parameters are read, and its parameter objects with their problems."""

    operation: DeclaredOperation
    route: Route
    nodes: list[Mapping[str, Any]]
    notes: list[str]

    @property
    def key(self) -> tuple[str, str]:
        """The path and the method on the service: the identity of an operation."""
        return self.route.target_path, self.route.upstream_method


class OperationReader:
    """Reads the requests and responses of operations of one document; ``notes`` lists what could not be read."""

    def __init__(self, document: Mapping[str, Any], security: SecurityReader, reading_time: ReadingTime) -> None:
        self.notes: list[str] = []
        self._note_count = 0
        self._document = document
        self._reading_time = reading_time
        self._shapes = Shapes(document, reading_time)
        self._security = security
        self._dialect_30 = str(document.get("openapi", "2"))[:3] in ("2", "3", "3.0")
        self._schema_bytes_left = MAX_TOTAL_SCHEMA_BYTES

    def describe(self, route: Route, candidate: Candidate) -> Route:
        """Return ``route`` with the parameters, request, response and schemas of its operation."""
        self._reading_time.check()
        operation, nodes = candidate.operation, candidate.nodes
        label = " ".join(reversed(candidate.key))
        body = self._read_or_note(
            f"{label}: body", lambda: request_bodies.read_body(self._shapes, self._document, operation.node, nodes)
        )
        parameters = self._read_parameters(label, route, candidate, body)
        response = (
            self._read_or_note(
                f"{label}: response", lambda: declared_media.read_response(self._document, operation.node)
            )
            or declared_media.DeclaredResponse()
        )
        own_servers = operation.node if operation.node.get("servers") else operation.item
        server_notes = find_server_notes(self._document, own_servers)
        response_notes = describe_other_responses(response, parameters)
        own_requests = _describe_own_requests(operation.node, "callbacks")
        self._add_notes(label, (*(body.notes if body else ()), *server_notes, *response_notes, *own_requests))
        content_type = response.content_type if response.content_type != declared_media.JSON else None
        public_schema = request_bodies.build_public_schema(self._shapes, body, parameters)
        return route.model_copy(
            update={
                "stream": self._find_stream_mode(response, parameters, body),
                "parameters": self._complete_parameters(parameters, body),
                "request": self._select_request_format(route, body, is_declared="requestBody" in operation.node),
                "response": ResponseHint(content_type=content_type) if content_type else None,
                "summary": _build_summary(operation.node),
                "input_schema": self._copy_schema_if_valid(f"{label}: input schema", public_schema),
                "output_schema": self._copy_schema_if_valid(f"{label}: output schema", response.schema),
            }
        )

    def describe_document(self) -> list[str]:
        """Return the notes on the document itself, after all operations were described."""
        more = self._note_count - MAX_NOTES
        notes = (
            *self._security.describe_unused(),
            *find_variable_notes(self._document),
            *_describe_own_requests(self._document, "webhooks"),
            *([f"{more:,} more notes on its operations"] if more > 0 else []),
        )
        return [f"document: {note}" for note in notes]

    def _read_parameters(
        self, label: str, route: Route, candidate: Candidate, body: Body | None
    ) -> list[DeclaredParameter]:
        """Return the parameters of an operation, its credentials among them, and note what is not carried."""
        parameters, problems = operation_parameters.read_parameters(
            self._document, candidate.nodes, route.target_path, body_type=body.sent_type if body else None
        )
        names = {declared.parameter.name for declared in parameters if declared.parameter.place == "query"}
        parameters += [  # of a path that ends with RFC 6570's {?a,b}
            DeclaredParameter(parameter=parameter, schema={"type": "string"})
            for parameter in route.parameters
            if parameter.place == "query" and parameter.name not in names
        ]
        credentials, security_problems = self._security.read_credentials(candidate.operation.node)
        self._add_notes(label, (*candidate.notes, *problems, *security_problems))
        merged = operation_parameters.sort_parameters(merge_credentials(parameters, credentials))
        self._add_notes(label, operation_parameters.find_same_names(merged))
        return merged

    def _complete_parameters(self, parameters: Iterable[DeclaredParameter], body: Body | None) -> tuple[Parameter, ...]:
        """Return ``parameters`` with what their schemas and the body's fields say of them."""
        fields = self._shapes.find_properties(body.schema) if body else {}
        return tuple(
            declared.parameter.model_copy(
                update={
                    "type": self._shapes.find_collection_type(declared.schema),
                    "shared": _has_field(fields, declared.parameter),
                }
            )
            for declared in parameters
        )

    def _add_notes(self, label: str, notes: Iterable[str], separator: str = ": ") -> None:
        for note in notes:
            self._note_count += 1
            if self._note_count <= MAX_NOTES:
                self.notes.append(f"{label}{separator}{note}")

    def _find_stream_mode(
        self, response: declared_media.DeclaredResponse, parameters: Iterable[DeclaredParameter], body: Body | None
    ) -> Any:
        """Return the route's ``stream``: STREAM_SWITCH for a route with a field ``stream``.

        The platform itself reads ``stream`` in each call (PLATFORM.md, section 3), so such a route must support both.
        """
        if response.stream:
            return True
        has_parameter = any(parameter.parameter.name == "stream" for parameter in parameters)
        return STREAM_SWITCH if has_parameter or (body and self._has_stream_field(body.schema)) else False

    def _has_stream_field(self, schema: Any) -> bool:
        """Return whether callers may request a stream, or must send a field ``stream`` with another meaning."""
        fields = self._shapes.find_properties(schema)
        return "stream" in fields and (
            self._shapes.is_boolean(fields["stream"]) or "stream" in self._shapes.find_required(schema)
        )

    def _select_request_format(self, route: Route, body: Body | None, *, is_declared: bool) -> RequestFormat | None:
        """Return the format of the body where it differs from the default format of the route."""
        has_default_body = route.upstream_method not in _BODILESS
        if body is None:
            return RequestFormat(encoding="none") if not is_declared and has_default_body else None
        is_default = body.request == route.request_format and has_default_body
        if is_default and not request_bodies.looks_like_file(self._shapes, body.schema):
            return None
        return body.request

    def _copy_schema_if_valid(self, label: str, schema: Any) -> dict[str, Any] | None:
        if schema is None or isinstance(schema, bool):
            return None
        return self._read_or_note(label, lambda: self._copy_schema(schema))

    def _copy_schema(self, schema: Any) -> dict[str, Any]:
        if self._schema_bytes_left <= 0:
            raise WrapperError("the document's schemas are too many or too large")
        self._schema_bytes_left -= MAX_SCHEMA_BYTES
        copy = make_self_contained(self._document, schema, dialect_30=self._dialect_30)
        self._schema_bytes_left += MAX_SCHEMA_BYTES - measure_size(copy)
        return copy

    def _read_or_note(self, label: str, read: Callable[[], _T]) -> _T | None:
        try:
            return read()
        except WrapperError as error:
            self._add_notes(label, (f"left out: {error.what}",), separator=" ")
            return None


def _has_field(fields: Mapping[str, Any], parameter: Parameter) -> bool:
    """Return whether the body has a field that a caller's key for ``parameter`` may mean (``runtime/parameter_values.py``)."""
    has_any_case = parameter.place == "header" and "-" in parameter.name
    return parameter.name in fields or (has_any_case and parameter.name.lower() in {name.lower() for name in fields})


def _describe_own_requests(node: Mapping[str, Any], key: str) -> list[str]:
    """Return a note on the ``callbacks`` or ``webhooks``, which a service sends itself (PLATFORM.md, section 1: egress is locked)."""
    declared = node.get(key)
    if not isinstance(declared, Mapping) or not declared:
        return []
    names = ", ".join(f"`{str(name)[:100]}`" for name in list(declared)[:5])
    return [f"{key} {names}: the service sends them itself, which needs allow_external_egress=True on the chute"]


def _build_summary(node: Mapping[str, Any]) -> str:
    """Return the first line of the operation's summary or description."""
    texts = (node.get(key) for key in ("summary", "description"))
    lines = (line for text in texts if isinstance(text, str) for line in text.splitlines())
    line = next((" ".join(line.split()) for line in lines if line.strip()), "")
    return line if len(line) <= MAX_SUMMARY_LENGTH else line[: MAX_SUMMARY_LENGTH - 1].rstrip() + "…"
