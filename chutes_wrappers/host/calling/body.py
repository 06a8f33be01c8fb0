"""What a command line says of a call's body → the JSON object that the platform carries.

Nothing else comes through: a multipart body is answered 400, JSON that is no object 500 (PLATFORM.md, section 3). So fields
and files become JSON as the README's "Calling a chute" has it, and the gateway on the instance makes multipart of it again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.runtime.files import BINARY_TYPE, File
from chutes_wrappers.runtime.media_types import type_of_bytes, type_of_name

_STDIN = "-"
_PARAMETERS = ("type", "filename")


def json_body(text: str) -> dict[str, Any]:
    """The object that ``-d`` means: its text, ``@FILE`` or ``@-``. ConfigurationError for anything but a JSON object."""
    where = f"-d {text}" if text.startswith("@") else "-d"
    try:
        value = json.loads(_read(text[1:], "-d") if text.startswith("@") else text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"the body is no JSON: {error}",
            where=where,
            next_step="""write it in single quotes, as in -d '{"text": "SOS"}', or into a file: -d @body.json""",
        ) from error
    if not isinstance(value, dict):
        raise ConfigurationError(
            f"the body is {_kind(value)}, and the platform carries a JSON object only",
            where=where,
            next_step='a route of the gateway takes other JSON as {"body": …}',
        )
    return value


def form_body(fields: Sequence[str]) -> dict[str, Any]:
    """The object for ``-F NAME=VALUE`` and ``-F NAME=@FILE[;type=…][;filename=…]``; a name given again makes a list.

    ConfigurationError for a field that is neither, and for a file that cannot be read.
    """
    given: dict[str, list[Any]] = {}
    for text in fields:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise ConfigurationError(
                f"{text!r} is no field", where="-F", next_step="write NAME=VALUE, or NAME=@FILE for a file"
            )
        given.setdefault(name, []).append(_file(name, value[1:]).as_json() if value.startswith("@") else value)
    return {name: values[0] if len(values) == 1 else values for name, values in given.items()}


def fitted(fields: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """What ``form_body`` made, as the cord's ``schema`` wants it: "3" as 3 where no text is wanted, one value as a list.

    A route of bytes takes the file's own as ``data``, not an object in it.
    """
    properties = schema.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    body = {name: _fitted(value, properties.get(name)) for name, value in fields.items()}
    data, wanted = body.get("data"), properties.get("data")
    if isinstance(data, Mapping) and isinstance(wanted, Mapping) and wanted.get("contentEncoding") == "base64":
        body = {"content_type": data["content_type"], **body, "data": data["data"]}
    return body


def _fitted(value: Any, schema: Any) -> Any:
    types = _types(schema)
    if "array" in types and "string" not in types:
        items = schema.get("items")
        return [_fitted(item, items) for item in (value if isinstance(value, list) else [value])]
    if isinstance(value, str) and types and "string" not in types:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value  # the service says what is wrong with it
    return value


def _types(schema: Any) -> set[str]:
    """The types that a field's schema names, its alternatives' included."""
    if not isinstance(schema, Mapping):
        return set()
    named, others = schema.get("type"), schema.get("anyOf")
    found = {named} if isinstance(named, str) else set(named) if isinstance(named, list) else set()
    return found.union(*map(_types, others if isinstance(others, list) else ()))


def _file(field: str, text: str) -> File:
    path, *parameters = text.split(";")
    said = dict(_parameter(field, parameter) for parameter in parameters)
    data = _read(path, f"-F {field}")
    filename = said.get("filename") or (field if path == _STDIN else Path(path).name)
    kind = said.get("type") or type_of_name(filename) or type_of_bytes(data) or BINARY_TYPE
    return File(filename=filename, content_type=kind, data=data)


def _parameter(field: str, text: str) -> tuple[str, str]:
    name, _, value = text.strip().partition("=")
    if name not in _PARAMETERS or not value:
        raise ConfigurationError(
            f"{text!r} says nothing about a file",
            where=f"-F {field}",
            next_step="use ;type=audio/wav or ;filename=a.wav",
        )
    return name, value


def _read(path: str, where: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == _STDIN else Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(
            f"{path!r} cannot be read ({reason})",
            where=where,
            next_step="name a file that you may read, or - for standard input",
        ) from error


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
