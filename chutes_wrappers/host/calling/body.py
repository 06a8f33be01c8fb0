"""Conversion of a command line's data, fields and files to the JSON object that the platform accepts.

The platform rejects a multipart body with 400, and JSON that is not an object with 500 (PLATFORM.md, section 3). So fields and
files become JSON as in the README's "Calling a chute". The gateway on the instance converts them back to multipart.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from chutes_wrappers.core import platform_checks
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.overruled_rules import refuse
from chutes_wrappers.runtime.files import BINARY_TYPE, File
from chutes_wrappers.runtime.media_types import guess_type_of_bytes, guess_type_of_name

_STDIN = "-"
_PARAMETERS = ("type", "filename")


def parse_json_body(text: str) -> dict[str, Any]:
    """Parse the value of ``-d``: text, ``@FILE`` or ``@-``. Raise ConfigurationError for anything but a JSON object."""
    where = f"-d {text}" if text.startswith("@") else "-d"
    try:
        value = json.loads(_read(text[1:], "-d") if text.startswith("@") else text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"the body is not valid JSON: {error}",
            where=where,
            next_step="""write it in single quotes, as in -d '{"text": "SOS"}', or into a file: -d @body.json""",
        ) from error
    if not isinstance(value, dict):
        problem = ConfigurationError(
            f"the body is {_describe_type(value)}, but the platform accepts a JSON object only",
            where=where,
            next_step='for a route of the gateway, put other JSON into {"body": …}',
        )
        refuse("object-body", problem)
    return cast(dict[str, Any], value)


def parse_form_body(fields: Sequence[str]) -> dict[str, Any]:
    """Build the object for ``-F NAME=VALUE`` and ``-F NAME=@FILE[;type=…][;filename=…]``; a repeated name makes a list.

    Raises ConfigurationError for an invalid field, and for a file that cannot be read.
    """
    values_by_name: dict[str, list[Any]] = {}
    for text in fields:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise ConfigurationError(
                f"{text!r} is not a valid field", where="-F", next_step="write NAME=VALUE, or NAME=@FILE for a file"
            )
        values_by_name.setdefault(name, []).append(
            _parse_file(name, value[1:]).to_json() if value.startswith("@") else value
        )
    return {name: values[0] if len(values) == 1 else values for name, values in values_by_name.items()}


def convert_to_schema(fields: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the result of ``parse_form_body`` to the types of the cord's ``schema``.

    "3" becomes 3 unless the schema allows text, and one value becomes a list. For a route of bytes, ``data`` is the file's
    content itself, not an object with it.
    """
    properties = schema.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    body = {name: _convert_value(value, properties.get(name)) for name, value in fields.items()}
    data, data_schema = body.get("data"), properties.get("data")
    if (
        isinstance(data, Mapping)
        and isinstance(data_schema, Mapping)
        and data_schema.get("contentEncoding") == "base64"
    ):
        body = {"content_type": data["content_type"], **body, "data": data["data"]}
    return body


def find_body_concern(body: Mapping[str, Any], size_bytes: int) -> str | None:
    """Return why the platform may refuse ``body``, which has ``size_bytes`` as JSON, with its largest field; else None."""
    concern = platform_checks.find_size_problem(size_bytes)
    if concern is None or not body:
        return concern
    name, value = max(body.items(), key=lambda item: _measure(item[1]))
    file = value.get("filename") if isinstance(value, Mapping) else None
    return f"{concern}. The largest field is {name!r}{f', the file {file}' if file else ''}"


def _measure(value: Any) -> int:
    """Return about how many characters ``value`` has as JSON."""
    if isinstance(value, Mapping):
        return sum(map(_measure, value.values()))
    return sum(map(_measure, value)) if isinstance(value, list) else len(str(value))


def _convert_value(value: Any, schema: Any) -> Any:
    types = _collect_types(schema)
    if "array" in types and "string" not in types:
        items = schema.get("items")
        return [_convert_value(item, items) for item in (value if isinstance(value, list) else [value])]
    if isinstance(value, str) and types and "string" not in types:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value  # the service reports what is wrong
    return value


def _collect_types(schema: Any) -> set[str]:
    """Collect the types that a field's schema and its alternatives allow."""
    if not isinstance(schema, Mapping):
        return set()
    own_types, alternatives = schema.get("type"), schema.get("anyOf")
    types = {own_types} if isinstance(own_types, str) else set(own_types) if isinstance(own_types, list) else set()
    return types.union(*map(_collect_types, alternatives if isinstance(alternatives, list) else ()))


def _parse_file(field: str, text: str) -> File:
    path, *parameters = text.split(";")
    options = dict(_parse_file_parameter(field, parameter) for parameter in parameters)
    data = _read(path, f"-F {field}")
    filename = options.get("filename") or (field if path == _STDIN else Path(path).name)
    kind = options.get("type") or guess_type_of_name(filename) or guess_type_of_bytes(data) or BINARY_TYPE
    return File(filename=filename, content_type=kind, data=data)


def _parse_file_parameter(field: str, text: str) -> tuple[str, str]:
    name, _, value = text.strip().partition("=")
    if name not in _PARAMETERS or not value:
        raise ConfigurationError(
            f"{text!r} is not a valid parameter of a file",
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
            next_step="use a file that you may read, or - for standard input",
        ) from error


def _describe_type(value: Any) -> str:
    names = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
