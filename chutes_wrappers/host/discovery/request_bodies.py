"""The body of an operation: how it travels, and what a caller of the public API sends instead. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chutes_wrappers.core.body_schemas import BINARY, FILE, TEXT
from chutes_wrappers.core.routes import RequestFormat
from chutes_wrappers.host.discovery import declared_media
from chutes_wrappers.host.discovery.operation_parameters import Declared, schema_of
from chutes_wrappers.host.discovery.references import resolve
from chutes_wrappers.host.discovery.shapes import ANYTHING, Shapes

FORM = "application/x-www-form-urlencoded"
# The second is no media type, and means the first.
_MULTIPART = ("multipart/form-data", "application/form-data")


@dataclass(frozen=True, kw_only=True)
class Body:
    """A body: how it is sent to the service, and the schema of the JSON object that a caller of the chute sends."""

    request: RequestFormat
    schema: Any = None


def body_of(
    shapes: Shapes, document: Mapping[str, Any], operation: Mapping[str, Any], nodes: Iterable[Mapping[str, Any]]
) -> Body | None:
    """The body that ``operation`` declares, by ``requestBody`` or by Swagger 2.0's parameters among ``nodes``."""
    if "requestBody" in operation:
        content = declared_media.content(resolve(document, operation["requestBody"], "the request body"))
        return _of_content(shapes, content) if content else None
    nodes = list(nodes)
    consumes = operation.get("consumes", document.get("consumes"))
    types = [name for name in map(declared_media.media_type, _strings(consumes)) if name]
    fields = [node for node in nodes if node.get("in") == "formData" and isinstance(node.get("name"), str)]
    if fields:
        return _fields(shapes, fields, is_multipart=FORM not in types and _MULTIPART[0] in types)
    body = next((node for node in nodes if node.get("in") == "body"), None)
    return _of_content(shapes, dict.fromkeys(types or [declared_media.JSON], body)) if body is not None else None


def _strings(node: Any) -> list[str]:
    return [text for text in node if isinstance(text, str)] if isinstance(node, list) else []


def _of_content(shapes: Shapes, content: Mapping[str, Mapping[str, Any]]) -> Body:
    """The body in the media type that a caller's JSON says best: JSON itself, then forms, then the first one named."""
    types = sorted(content, key=lambda name: (_preference(name), list(content).index(name)))
    name, node = types[0], content[types[0]]
    schema = declared_media.with_example(node.get("schema"), node)
    if declared_media.is_json(name) and not ("*" in name and _is_binary(shapes, schema)):
        return _json(shapes, schema, "" if name == declared_media.JSON or "*" in name else name)
    if name in _MULTIPART or name == FORM:
        return _form(shapes, node, is_multipart=name != FORM)
    named = "" if "*" in name else name
    if declared_media.is_text(name):
        return Body(request=RequestFormat(encoding="text", content_type=named), schema=TEXT)
    return Body(request=RequestFormat(encoding="binary", content_type=named), schema=BINARY)


def _preference(name: str) -> int:
    if declared_media.is_json(name):
        return 0 if name == declared_media.JSON else 1
    return 2 if name in _MULTIPART else 3 if name == FORM else 4


def _json(shapes: Shapes, schema: Any, content_type: str) -> Body:
    wrapped = None
    if shapes.is_never_object(schema):
        wrapped = True
        schema = {"type": "object", "properties": {"body": schema}, "required": ["body"]}
    elif shapes.is_object(schema) and shapes.may_have(schema, "body"):
        wrapped = False
    return Body(request=RequestFormat(content_type=content_type, wrapped=wrapped), schema=schema)


def _form(shapes: Shapes, node: Mapping[str, Any], *, is_multipart: bool) -> Body:
    schema, encoding = node.get("schema"), node.get("encoding")
    parts = encoding if isinstance(encoding, Mapping) else {}
    properties = shapes.properties(schema)
    files = {name for name, child in properties.items() if _is_file(shapes, child, parts.get(name))}
    if not files:
        may_have_others = any(part.get("additionalProperties", False) is not False for part in shapes.parts(schema))
        request = _without_files(shapes, properties, is_multipart=is_multipart, is_known=not may_have_others)
        return Body(request=request, schema=schema)
    return _with_files(shapes, properties, files, shapes.required(schema))


def _fields(shapes: Shapes, fields: Sequence[Mapping[str, Any]], *, is_multipart: bool) -> Body:
    """The body that Swagger 2.0's ``formData`` parameters are."""
    properties = {field["name"]: schema_of(field) for field in fields}
    required = [field["name"] for field in fields if field.get("required") is True]
    files = {name for name, schema in properties.items() if _is_file(shapes, schema, None)}
    if files:
        return _with_files(shapes, properties, files, required)
    schema = {"type": "object", "properties": properties, **({"required": required} if required else {})}
    return Body(request=_without_files(shapes, properties, is_multipart=is_multipart), schema=schema)


def _without_files(
    shapes: Shapes, properties: Mapping[str, Any], *, is_multipart: bool, is_known: bool = True
) -> RequestFormat:
    """A form whose ``properties`` are no files; where one may be anything, or there are none, files are not known."""
    if not is_multipart:
        return RequestFormat(encoding="form")
    is_known = (
        is_known and bool(properties) and not any(shapes.types(child) == ANYTHING for child in properties.values())
    )
    return RequestFormat(encoding="multipart", files=() if is_known else None)


def _with_files(shapes: Shapes, properties: Mapping[str, Any], files: set[str], required: list[str]) -> Body:
    """A form with files in it is multipart, whatever it says that it is."""
    public = {name: _public_file(shapes, child) if name in files else child for name, child in properties.items()}
    schema = {"type": "object", "properties": public, **({"required": required} if required else {})}
    return Body(request=RequestFormat(encoding="multipart", files=tuple(sorted(files))), schema=schema)


def _public_file(shapes: Shapes, schema: Any) -> dict[str, Any]:
    if "array" in shapes.types(schema) and "string" not in shapes.types(schema):
        return {"type": "array", "items": FILE}
    return FILE


def _is_file(shapes: Shapes, schema: Any, part: Any) -> bool:
    items = [node.get("items") for node in shapes.parts(schema)]
    if any(_is_binary(shapes, candidate) for candidate in (schema, *items)):
        return True
    named = part.get("contentType") if isinstance(part, Mapping) else None
    kinds = [declared_media.media_type(kind) for kind in named.split(",")] if isinstance(named, str) else []
    return bool(kinds) and shapes.types(schema) == {"string"} and not any(map(_is_plain, kinds))


def _is_plain(kind: str) -> bool:
    return declared_media.is_text(kind) or (declared_media.is_json(kind) and "*" not in kind)


def _is_binary(shapes: Shapes, schema: Any) -> bool:
    """Whether ``schema`` is of bytes: OpenAPI 3.0's format, Swagger 2.0's type, OpenAPI 3.1's media type."""
    return any(
        part.get("format") == "binary"
        or part.get("type") == "file"
        or ("contentMediaType" in part and "contentEncoding" not in part and part.get("type") == "string")
        for part in shapes.parts(schema)
    )


def is_mistakable(shapes: Shapes, schema: Any) -> bool:
    """Whether a caller's JSON may hold what looks like a file to us: then it must be said that it is JSON."""
    for child in shapes.properties(schema).values():
        for candidate in (child, *(node.get("items") for node in shapes.parts(child))):
            names = set(shapes.properties(candidate))
            if "data" in names and names & {"filename", "content_type"}:
                return True
    return False


def public_schema(shapes: Shapes, body: Body | None, parameters: Sequence[Declared]) -> Any:
    """The schema of the one JSON object that a caller sends: the body with the parameters beside its properties."""
    own = body.schema if body else None
    if not parameters:
        return own
    names = shapes.properties(own)
    added = {each.parameter.name: each.schema for each in parameters if each.parameter.name not in names}
    needed = [each.parameter.name for each in parameters if each.parameter.required]
    beside = {"type": "object", "properties": added, **({"required": needed} if needed else {})}
    return beside if own is None else _merged(shapes, own, beside)


def _merged(shapes: Shapes, own: Any, beside: dict[str, Any]) -> Any:
    top = list(shapes.parts(own, ()))[-1:]
    node = top[0] if top else {}
    if not isinstance(node.get("properties"), Mapping) or {"$ref", "allOf", "anyOf", "oneOf"} & set(node):
        return {"allOf": [own, beside]}
    required = [*dict.fromkeys([*shapes.required(node), *beside.get("required", ())])]
    return {
        **node,
        "properties": {**beside["properties"], **node["properties"]},
        **({"required": required} if required else {}),
    }
