"""Request bodies of operations: the encoding for the service, and the JSON that a caller of the public API sends. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chutes_wrappers.core.body_schemas import BINARY, FILE, TEXT
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.routes import RequestFormat
from chutes_wrappers.host.discovery import declared_media
from chutes_wrappers.host.discovery.operation_parameters import DeclaredParameter, build_value_schema
from chutes_wrappers.host.discovery.part_formats import Parts, read_part_formats, read_swagger_formats
from chutes_wrappers.host.discovery.references import resolve_node
from chutes_wrappers.host.discovery.shapes import ALL_TYPES, Shapes

FORM = "application/x-www-form-urlencoded"
# The second is not a registered media type; documents use it for the first.
_MULTIPART = ("multipart/form-data", "application/form-data")
_DEFAULT_TYPES = {"json": declared_media.JSON, "form": FORM, "multipart": _MULTIPART[0]}


@dataclass(frozen=True, kw_only=True)
class Body:
    """A request body: its format for the service, and the schema of the JSON object that a caller of the chute sends.

    ``notes`` say what of the declaration is not sent.
    """

    request: RequestFormat
    schema: Any = None
    notes: tuple[str, ...] = ()

    @property
    def sent_type(self) -> str:
        """The media type that is sent; empty if the caller may set it."""
        if self.request.encoding in ("text", "binary"):
            return ""
        return self.request.content_type or _DEFAULT_TYPES.get(self.request.encoding, "")


def read_body(
    shapes: Shapes, document: Mapping[str, Any], operation: Mapping[str, Any], nodes: Iterable[Mapping[str, Any]]
) -> Body | None:
    """Return the body that ``operation`` declares, with ``requestBody`` or with the parameters ``nodes`` of Swagger 2.0."""
    if "requestBody" in operation:
        node = resolve_node(document, operation["requestBody"], "the request body")
        content = declared_media.read_content(document, node)
        unknown = [name for name in node.get("content", ()) if not declared_media.parse_media_type(name)]
        if unknown and not content:
            raise WrapperError(f"{unknown[0][:100]!r} is not a media type")
        body = _build_body(document, shapes, content) if content else None
        unknown_notes = (f"body {name[:100]!r} left out: it is not a media type" for name in unknown)
        return body and replace(body, notes=(*body.notes, *unknown_notes))
    nodes = list(nodes)
    consumes = operation.get("consumes", document.get("consumes"))
    types = [name for name in map(declared_media.normalise_content_type, _filter_strings(consumes)) if name]
    fields = [node for node in nodes if node.get("in") == "formData" and isinstance(node.get("name"), str)]
    bodies = [node for node in nodes if node.get("in") == "body"]
    lost = bodies if fields else bodies[1:]
    notes = tuple(f"body `{str(node.get('name'))[:100]}` left out: a request has one body" for node in lost)
    if fields:
        kinds = [declared_media.parse_media_type(name) for name in types]
        body = _build_form_data_body(
            document, shapes, fields, is_multipart=FORM not in kinds and _MULTIPART[0] in kinds
        )
        return replace(body, notes=(*body.notes, *notes))
    if not bodies:
        return None
    body = _build_body(document, shapes, dict.fromkeys(types or [declared_media.JSON], bodies[0]))
    return replace(body, notes=(*body.notes, *notes))


def _filter_strings(node: Any) -> list[str]:
    return [text for text in node if isinstance(text, str)] if isinstance(node, list) else []


def _build_body(document: Mapping[str, Any], shapes: Shapes, content: Mapping[str, Mapping[str, Any]]) -> Body:
    """Return the body in the media type that represents a caller's JSON best: JSON, then forms, then the first declared."""
    name = min(content, key=_rank_media_type)
    body = _build_body_of_type(document, shapes, name, content[name])
    others = [other for other in content if not _is_alternative_spelling(other, name)]
    if not others:
        return body
    used = f"; this route sends {name}" if "*" not in name else ""
    return replace(body, notes=(*body.notes, f"the body may also be {', '.join(others[:5])}{used}"))


def _is_alternative_spelling(other: str, name: str) -> bool:
    """Return whether ``other`` says nothing beyond ``name``: both are JSON without parameters, or ``other`` is a range."""
    kind = declared_media.parse_media_type(other)
    if other == name or "*" in kind or _is_json_with_charset(other):
        return True
    return ";" not in other and kind in (declared_media.JSON, "text/json") and declared_media.is_json(name)


def _is_json_with_charset(content_type: str) -> bool:
    return content_type.lower().replace(" ", "").replace('"', "") == f"{declared_media.JSON};charset=utf-8"


def _build_body_of_type(
    document: Mapping[str, Any], shapes: Shapes, content_type: str, node: Mapping[str, Any]
) -> Body:
    name = declared_media.parse_media_type(content_type)
    schema = declared_media.add_example(document, node.get("schema"), node)
    sent_type = "" if "*" in name else content_type
    if declared_media.is_json(name) and not ("*" in name and _is_binary(shapes, schema)):
        return _build_json_body(shapes, schema, "" if sent_type == declared_media.JSON else sent_type)
    if name == FORM or _has_named_parts(shapes, name, node):
        node = {**node, "schema": schema}
        body = _build_form_body(document, shapes, node, is_multipart=name != FORM)
        is_usual = name in _MULTIPART or content_type == FORM or (body.request.encoding == "multipart" and name == FORM)
        sent_type = "" if is_usual else content_type if name == FORM else name
        return replace(body, request=body.request.model_copy(update={"content_type": sent_type}))
    if declared_media.is_json_lines(name):
        return _build_lines_body(shapes, schema, node, content_type)
    if declared_media.is_text(name):
        return Body(request=RequestFormat(encoding="text", content_type=sent_type), schema=TEXT)
    positions = [key for key in ("encoding", "itemEncoding", "prefixEncoding", "itemSchema") if key in node]
    notes: tuple[str, ...] = ()
    if name.startswith("multipart/"):
        notes = (f"the parts of {name} are not built: callers send its bytes",)
    notes += tuple(f"`{key}` of {name} left out: callers send its bytes" for key in positions if not notes)
    return Body(request=RequestFormat(encoding="binary", content_type=sent_type), schema=BINARY, notes=notes)


def _has_named_parts(shapes: Shapes, media_type: str, node: Mapping[str, Any]) -> bool:
    """Return whether a multipart body has a part for each field; else its parts have only an order, or are unknown."""
    if media_type in _MULTIPART:
        return True
    is_named = media_type.startswith("multipart/") and not {"itemSchema", "itemEncoding", "prefixEncoding"} & set(node)
    return is_named and "*" not in media_type and bool(shapes.find_properties(node.get("schema")))


def _rank_media_type(content_type: str) -> int:
    name = declared_media.parse_media_type(content_type)
    if declared_media.is_json(name):
        return 0 if content_type == declared_media.JSON else 1
    return 2 if name in _MULTIPART else 3 if name == FORM else 4


def _build_lines_body(shapes: Shapes, schema: Any, node: Mapping[str, Any], content_type: str) -> Body:
    """Return the body of a sequence of JSON texts, which ``itemSchema`` describes, or a schema of all of them."""
    if "itemSchema" in node or shapes.find_types(schema) - {"null"} != {"array"}:
        items = node.get("itemSchema", {} if schema is None else schema)
        schema = {"type": "array", "items": items}
    return Body(
        request=RequestFormat(encoding="lines", content_type=content_type),
        schema={"type": "object", "properties": {"body": schema}, "required": ["body"]},
    )


def _build_json_body(shapes: Shapes, schema: Any, content_type: str) -> Body:
    wrapped = None
    if shapes.is_never_object(schema):
        wrapped = True
        schema = {"type": "object", "properties": {"body": schema}, "required": ["body"]}
    elif shapes.is_object(schema) and shapes.can_have_property(schema, "body"):
        wrapped = False
    return Body(request=RequestFormat(content_type=content_type, wrapped=wrapped), schema=schema)


def _build_form_body(
    document: Mapping[str, Any], shapes: Shapes, node: Mapping[str, Any], *, is_multipart: bool
) -> Body:
    schema, encoding = node.get("schema"), node.get("encoding")
    entries = encoding if isinstance(encoding, Mapping) else {}
    properties = shapes.find_properties(schema)
    files = {name for name, child in properties.items() if _is_file(shapes, child, entries.get(name))}
    is_declared_multipart, is_multipart = is_multipart, is_multipart or bool(files)
    formats = read_part_formats(document, shapes, node, files=files, is_multipart=is_multipart)
    if files:
        body = _build_file_form_body(shapes, properties, files, shapes.find_required(schema), formats)
        names = ", ".join(f"`{name[:100]}`" for name in sorted(files)[:5])
        note = f"the body is sent as {_MULTIPART[0]}, not {FORM}: {names} may be a file"
        return body if is_declared_multipart else replace(body, notes=(*body.notes, note))
    may_have_others = any(part.get("additionalProperties", False) is not False for part in shapes.iterate_parts(schema))
    request = _build_plain_form_request(
        shapes, properties, formats, is_multipart=is_multipart, is_known=not may_have_others
    )
    return Body(request=request, schema=schema, notes=tuple(formats[1]))


def _build_form_data_body(
    document: Mapping[str, Any], shapes: Shapes, fields: Sequence[Mapping[str, Any]], *, is_multipart: bool
) -> Body:
    """Return the body that the ``formData`` parameters of Swagger 2.0 declare."""
    properties = {field["name"]: build_value_schema(document, field) for field in fields}
    required = [field["name"] for field in fields if field.get("required") is True]
    files = {name for name, schema in properties.items() if _is_file(shapes, schema, None)}
    formats = read_swagger_formats(fields, files)
    if files:
        return _build_file_form_body(shapes, properties, files, required, formats)
    schema = {"type": "object", "properties": properties, **({"required": required} if required else {})}
    request = _build_plain_form_request(shapes, properties, formats, is_multipart=is_multipart)
    return Body(request=request, schema=schema, notes=tuple(formats[1]))


def _build_plain_form_request(
    shapes: Shapes, properties: Mapping[str, Any], formats: Parts, *, is_multipart: bool, is_known: bool = True
) -> RequestFormat:
    """Return the format of a form without files; ``files`` is None (unknown) where a property may be anything."""
    if not is_multipart:
        return RequestFormat(encoding="form", parts=formats[0])
    is_known = (
        is_known
        and bool(properties)
        and not any(shapes.find_types(child) == ALL_TYPES for child in properties.values())
    )
    return RequestFormat(encoding="multipart", files=() if is_known else None, parts=formats[0])


def _build_file_form_body(
    shapes: Shapes, properties: Mapping[str, Any], files: set[str], required: list[str], formats: Parts
) -> Body:
    """Return the body of a form with files: it is multipart, whatever media type is declared."""
    property_schemas = {
        name: _build_public_file_schema(shapes, child) if name in files else child for name, child in properties.items()
    }
    schema = {"type": "object", "properties": property_schemas, **({"required": required} if required else {})}
    request = RequestFormat(encoding="multipart", files=tuple(sorted(files)), parts=formats[0])
    return Body(request=request, schema=schema, notes=tuple(formats[1]))


def _build_public_file_schema(shapes: Shapes, schema: Any) -> dict[str, Any]:
    if "array" in shapes.find_types(schema) and "string" not in shapes.find_types(schema):
        return {"type": "array", "items": FILE}
    return FILE


def _is_file(shapes: Shapes, schema: Any, part: Any) -> bool:
    items = [node.get("items") for node in shapes.iterate_parts(schema)]
    if any(_is_binary(shapes, candidate) for candidate in (schema, *items)):
        return True
    content_type = part.get("contentType") if isinstance(part, Mapping) else None
    media_types = (
        [declared_media.parse_media_type(kind) for kind in content_type.split(",")]
        if isinstance(content_type, str)
        else []
    )
    return (
        bool(media_types)
        and shapes.find_types(schema) == {"string"}
        and not any(map(_is_plain_media_type, media_types))
    )


def _is_plain_media_type(media_type: str) -> bool:
    return declared_media.is_text(media_type) or (declared_media.is_json(media_type) and "*" not in media_type)


def _is_binary(shapes: Shapes, schema: Any) -> bool:
    """Return whether ``schema`` means bytes: by the format (OpenAPI 3.0), the type (Swagger 2.0) or the media type (3.1)."""
    return any(
        part.get("format") == "binary" or part.get("type") == "file" or _is_encoded_binary(part)
        for part in shapes.iterate_parts(schema)
    )


def _is_encoded_binary(part: Mapping[str, Any]) -> bool:
    """Return whether ``contentMediaType`` makes a schema that of bytes; text and JSON are strings."""
    media_type = part.get("contentMediaType")
    if not isinstance(media_type, str) or "contentEncoding" in part or part.get("type", "string") != "string":
        return False
    return not _is_plain_media_type(declared_media.parse_media_type(media_type))


def looks_like_file(shapes: Shapes, schema: Any) -> bool:
    """Return whether JSON of this schema may look like a file; then its format must be declared as JSON explicitly."""
    for child in shapes.find_properties(schema).values():
        for candidate in (child, *(node.get("items") for node in shapes.iterate_parts(child))):
            names = set(shapes.find_properties(candidate))
            if "data" in names and names & {"filename", "content_type"}:
                return True
    return False


def build_public_schema(shapes: Shapes, body: Body | None, parameters: Sequence[DeclaredParameter]) -> Any:
    """Return the schema of the JSON object that a caller sends: the properties of the body and the parameters."""
    body_schema = body.schema if body else None
    if not parameters:
        return body_schema
    body_properties = shapes.find_properties(body_schema)
    added_properties = {
        parameter.parameter.name: parameter.schema
        for parameter in parameters
        if parameter.parameter.name not in body_properties
    }
    required_names = [parameter.parameter.name for parameter in parameters if parameter.parameter.required]
    parameter_schema = {
        "type": "object",
        "properties": added_properties,
        **({"required": required_names} if required_names else {}),
    }
    return parameter_schema if body_schema is None else _merge_schemas(shapes, body_schema, parameter_schema)


def _merge_schemas(shapes: Shapes, body_schema: Any, parameter_schema: dict[str, Any]) -> Any:
    top_parts = list(shapes.iterate_parts(body_schema, ()))[-1:]
    node = top_parts[0] if top_parts else {}
    if not isinstance(node.get("properties"), Mapping) or {"$ref", "allOf", "anyOf", "oneOf"} & set(node):
        return {"allOf": [body_schema, parameter_schema]}
    required = [*dict.fromkeys([*shapes.find_required(node), *parameter_schema.get("required", ())])]
    return {
        **node,
        "properties": {**parameter_schema["properties"], **node["properties"]},
        **({"required": required} if required else {}),
    }
