"""An example call of an operation, as callers of the chute send it: one JSON object for parameters and body. Pure."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from chutes_wrappers.host.document_client.operation import Operation, OperationBody, OperationParameter
from chutes_wrappers.host.parity.sample_files import make_sample_file
from chutes_wrappers.host.parity.schema_examples import ExampleBuilder

_EXAMPLE_KEYS = ("example", "examples", "x-example")


def build_example(operation: Operation) -> dict[str, Any]:
    """Return the parameters and the body that are required or have an example; no credentials.

    Examples beside a schema come before those in it, and before values that the schema allows.
    """
    fields = _build_body_fields(operation, operation.body) if operation.body is not None else {}
    values = {
        parameter.name: build_parameter_value(operation, parameter)
        for parameter in operation.parameters
        if not parameter.is_credential
        and (parameter.is_required or parameter.is_expected or _has_example(operation, parameter))
    }
    return {**{name: value for name, value in values.items() if value is not None}, **fields}


def build_parameter_value(operation: Operation, parameter: OperationParameter) -> Any:
    """Return the example of a parameter, else a value that its schema allows."""
    builder = ExampleBuilder(operation.nodes.look_up)
    selected = builder.select(parameter.schema, parameter.examples)
    value = selected[0] if selected else builder.build(parameter.schema if parameter.schema is not None else {})
    if parameter.is_expected and "/" not in str(value):
        return "*/*" if parameter.name.lower() == "accept" else "application/json"
    if parameter.place == "header" and isinstance(value, str):
        return " ".join(value.split())  # a document may have it in several lines
    return "a" if parameter.place == "path" and value in ("", None, [], {}) else value


def _has_example(operation: Operation, parameter: OperationParameter) -> bool:
    if parameter.examples:
        return True
    parts = operation.nodes.iterate_parts(parameter.schema)
    return any(key in part for part in parts for key in _EXAMPLE_KEYS)


def _build_body_fields(operation: Operation, body: OperationBody) -> dict[str, Any]:
    if body.kind == "binary":
        sample = make_sample_file("data", body.content_type or body.media_range)
        # The operation's own media type is sent, unless it is a range.
        return {"data": sample["data"], **({} if body.content_type else {"content_type": sample["content_type"]})}
    if body.kind == "text":
        return {"text": _build_text(body)}
    value = _build_value(operation, body)
    if body.kind == "lines":
        return {"body": value if isinstance(value, list) else [value]}
    if body.kind == "json":
        return _wrap_json(value, body)
    fields = dict(value) if isinstance(value, Mapping) else {}
    return {**fields, **_build_files(operation, body, fields)}


def _build_value(operation: Operation, body: OperationBody) -> Any:
    builder = ExampleBuilder(operation.nodes.look_up)
    parsed = _parse_texts(body.examples) if body.kind == "json" else []
    # Without a type, JSON in a text is more likely than that text.
    candidates = [*body.examples, *parsed] if operation.nodes.find_types(body.schema) else [*parsed, *body.examples]
    if selected := builder.select(body.schema, candidates):
        return selected[0]
    return builder.build(
        {"type": "object", **body.schema}
        if body.kind != "lines" and body.schema == {}
        else body.schema
        if body.schema is not None
        else {"type": "object"}
    )


def _parse_texts(examples: Iterable[Any]) -> list[Any]:
    """Return the values of examples that are JSON in a text, as many documents write them."""
    values = []
    for text in examples:
        with contextlib.suppress(ValueError, RecursionError):
            values += [json.loads(text)] if isinstance(text, str) else []
    return values


def _wrap_json(value: Any, body: OperationBody) -> dict[str, Any]:
    """Return a JSON body as callers send it: under ``body`` unless it is an object that cannot be confused with that form."""
    is_plain = isinstance(value, Mapping) and body.is_wrapped is not True
    is_ambiguous = isinstance(value, Mapping) and value.keys() == {"body"} and body.is_wrapped is None
    return dict(value) if is_plain and not is_ambiguous else {"body": value}


def _build_text(body: OperationBody) -> str:
    text = next((value for value in body.examples if isinstance(value, str)), None)
    return text if text is not None else "<a/>" if "xml" in body.content_type else "hello"


def _build_files(operation: Operation, body: OperationBody, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the files of a form; all of them if nothing is required, since an empty form is of no use to any service."""
    sends_all = not ExampleBuilder(operation.nodes.look_up).resolve(body.schema).get("required")
    properties = operation.nodes.find_properties(body.schema)
    files = {}
    for name in sorted(body.files or ()):
        if name not in fields and not sends_all:
            continue
        sample = make_sample_file(name, _find_media_types(operation, body, properties.get(name), name))
        files[name] = [sample] if operation.nodes.find_types(properties.get(name)) == {"array"} else sample
    return files


def _find_media_types(operation: Operation, body: OperationBody, schema: Any, name: str) -> str:
    declared = body.formats[name].content_type if name in body.formats else ""
    parts = [each.get("contentMediaType", "") for each in operation.nodes.iterate_parts(schema)]
    return declared or next((text for text in parts if isinstance(text, str) and text), "")
