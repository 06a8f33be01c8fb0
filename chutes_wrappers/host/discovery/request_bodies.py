"""Request bodies of operations: the encoding for the service, and the JSON that a caller of the public API sends. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chutes_wrappers.core.body_schemas import BINARY, FILE, TEXT
from chutes_wrappers.core.routes import RequestFormat
from chutes_wrappers.host.discovery import declared_media
from chutes_wrappers.host.discovery.operation_parameters import DeclaredParameter, build_value_schema
from chutes_wrappers.host.discovery.references import resolve_node
from chutes_wrappers.host.discovery.shapes import ALL_TYPES, Shapes

FORM = "application/x-www-form-urlencoded"
# The second is not a registered media type; documents use it for the first.
_MULTIPART = ("multipart/form-data", "application/form-data")


@dataclass(frozen=True, kw_only=True)
class Body:
    """A request body: its format for the service, and the schema of the JSON object that a caller of the chute sends."""

    request: RequestFormat
    schema: Any = None


def read_body(
    shapes: Shapes, document: Mapping[str, Any], operation: Mapping[str, Any], nodes: Iterable[Mapping[str, Any]]
) -> Body | None:
    """Return the body that ``operation`` declares, with ``requestBody`` or with the parameters ``nodes`` of Swagger 2.0."""
    if "requestBody" in operation:
        content = declared_media.read_content(resolve_node(document, operation["requestBody"], "the request body"))
        return _build_body(shapes, content) if content else None
    nodes = list(nodes)
    consumes = operation.get("consumes", document.get("consumes"))
    types = [name for name in map(declared_media.parse_media_type, _filter_strings(consumes)) if name]
    fields = [node for node in nodes if node.get("in") == "formData" and isinstance(node.get("name"), str)]
    if fields:
        return _build_form_data_body(shapes, fields, is_multipart=FORM not in types and _MULTIPART[0] in types)
    body = next((node for node in nodes if node.get("in") == "body"), None)
    return _build_body(shapes, dict.fromkeys(types or [declared_media.JSON], body)) if body is not None else None


def _filter_strings(node: Any) -> list[str]:
    return [text for text in node if isinstance(text, str)] if isinstance(node, list) else []


def _build_body(shapes: Shapes, content: Mapping[str, Mapping[str, Any]]) -> Body:
    """Return the body in the media type that represents a caller's JSON best: JSON, then forms, then the first declared."""
    name = min(content, key=_rank_media_type)
    node = content[name]
    schema = declared_media.add_example(node.get("schema"), node)
    if declared_media.is_json(name) and not ("*" in name and _is_binary(shapes, schema)):
        return _build_json_body(shapes, schema, "" if name == declared_media.JSON or "*" in name else name)
    if name in _MULTIPART or name == FORM:
        return _build_form_body(shapes, node, is_multipart=name != FORM)
    content_type = "" if "*" in name else name
    if declared_media.is_text(name):
        return Body(request=RequestFormat(encoding="text", content_type=content_type), schema=TEXT)
    return Body(request=RequestFormat(encoding="binary", content_type=content_type), schema=BINARY)


def _rank_media_type(media_type: str) -> int:
    if declared_media.is_json(media_type):
        return 0 if media_type == declared_media.JSON else 1
    return 2 if media_type in _MULTIPART else 3 if media_type == FORM else 4


def _build_json_body(shapes: Shapes, schema: Any, content_type: str) -> Body:
    wrapped = None
    if shapes.is_never_object(schema):
        wrapped = True
        schema = {"type": "object", "properties": {"body": schema}, "required": ["body"]}
    elif shapes.is_object(schema) and shapes.can_have_property(schema, "body"):
        wrapped = False
    return Body(request=RequestFormat(content_type=content_type, wrapped=wrapped), schema=schema)


def _build_form_body(shapes: Shapes, node: Mapping[str, Any], *, is_multipart: bool) -> Body:
    schema, encoding = node.get("schema"), node.get("encoding")
    parts = encoding if isinstance(encoding, Mapping) else {}
    properties = shapes.find_properties(schema)
    files = {name for name, child in properties.items() if _is_file(shapes, child, parts.get(name))}
    if not files:
        may_have_others = any(
            part.get("additionalProperties", False) is not False for part in shapes.iterate_parts(schema)
        )
        request = _build_plain_form_request(shapes, properties, is_multipart=is_multipart, is_known=not may_have_others)
        return Body(request=request, schema=schema)
    return _build_file_form_body(shapes, properties, files, shapes.find_required(schema))


def _build_form_data_body(shapes: Shapes, fields: Sequence[Mapping[str, Any]], *, is_multipart: bool) -> Body:
    """Return the body that the ``formData`` parameters of Swagger 2.0 declare."""
    properties = {field["name"]: build_value_schema(field) for field in fields}
    required = [field["name"] for field in fields if field.get("required") is True]
    files = {name for name, schema in properties.items() if _is_file(shapes, schema, None)}
    if files:
        return _build_file_form_body(shapes, properties, files, required)
    schema = {"type": "object", "properties": properties, **({"required": required} if required else {})}
    return Body(request=_build_plain_form_request(shapes, properties, is_multipart=is_multipart), schema=schema)


def _build_plain_form_request(
    shapes: Shapes, properties: Mapping[str, Any], *, is_multipart: bool, is_known: bool = True
) -> RequestFormat:
    """Return the format of a form without files; ``files`` is None (unknown) where a property may be anything."""
    if not is_multipart:
        return RequestFormat(encoding="form")
    is_known = (
        is_known
        and bool(properties)
        and not any(shapes.find_types(child) == ALL_TYPES for child in properties.values())
    )
    return RequestFormat(encoding="multipart", files=() if is_known else None)


def _build_file_form_body(shapes: Shapes, properties: Mapping[str, Any], files: set[str], required: list[str]) -> Body:
    """Return the body of a form with files: it is multipart, whatever media type is declared."""
    property_schemas = {
        name: _build_public_file_schema(shapes, child) if name in files else child for name, child in properties.items()
    }
    schema = {"type": "object", "properties": property_schemas, **({"required": required} if required else {})}
    return Body(request=RequestFormat(encoding="multipart", files=tuple(sorted(files))), schema=schema)


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
        part.get("format") == "binary"
        or part.get("type") == "file"
        or ("contentMediaType" in part and "contentEncoding" not in part and part.get("type") == "string")
        for part in shapes.iterate_parts(schema)
    )


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
