"""Conversion of a caller's JSON object to the arguments of a Gradio endpoint, in order. Pure.

Arguments are given by name, or by position as ``{"data": [...]}``. Values of file parameters become ``File``s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from chutes_wrappers.core.gradio_endpoints import GradioEndpoint, GradioParameter
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.files import BASE64_SUFFIX, File, file_from_base64, make_file_error, parse_file

POSITIONAL = "data"
# How Gradio marks a file in the values of an endpoint.
FILE_MARK = {"_type": "gradio.FileData"}

_MAX_DEPTH = 50
_BASE64_URI = re.compile(r"data:[^,\s]*;base64,", re.IGNORECASE)


def parse_arguments(endpoint: GradioEndpoint, body: Any) -> list[Any]:
    """Return the arguments in ``body``, defaults filled in. Raises CallFailed with the problem and the parameters."""
    if not isinstance(body, Mapping):
        raise CallFailed(f"this route expects a JSON object, not a {type(body).__name__}")
    arguments = (
        _parse_positional(endpoint, body[POSITIONAL])
        if _is_positional(endpoint, body)
        else _parse_named(endpoint, body)
    )
    return [_build_argument(endpoint, parameter, arguments) for parameter in endpoint.parameters]


def _is_positional(endpoint: GradioEndpoint, body: Mapping[str, Any]) -> bool:
    is_name = any(parameter.name == POSITIONAL for parameter in endpoint.parameters)
    return set(body) == {POSITIONAL} and isinstance(body[POSITIONAL], list) and not is_name


def _parse_positional(endpoint: GradioEndpoint, values: Sequence[Any]) -> dict[str, Any]:
    if len(values) > len(endpoint.parameters):
        count = len(endpoint.parameters)
        raise _make_argument_error(
            endpoint, f"`{POSITIONAL}` has {len(values)} arguments, the endpoint accepts {count}"
        )
    return {parameter.name: value for parameter, value in zip(endpoint.parameters, values, strict=False)}


def _parse_named(endpoint: GradioEndpoint, body: Mapping[str, Any]) -> dict[str, Any]:
    parameters = {parameter.name: parameter for parameter in endpoint.parameters}
    arguments: dict[str, Any] = {}
    for key, value in body.items():
        base_name = key.removesuffix(BASE64_SUFFIX)
        if key not in parameters and base_name in parameters and parameters[base_name].file:
            value = _decode_files(base_name, value)
            key = base_name
        if key not in parameters:
            raise _make_argument_error(endpoint, f"`{key}` is not a parameter of this endpoint")
        if key in arguments:
            raise _make_argument_error(endpoint, f"`{key}` is given twice")
        arguments[key] = value
    return arguments


def _decode_files(name: str, value: Any) -> Any:
    return (
        [file_from_base64(name, item) for item in value] if isinstance(value, list) else file_from_base64(name, value)
    )


def _build_argument(endpoint: GradioEndpoint, parameter: GradioParameter, arguments: Mapping[str, Any]) -> Any:
    if parameter.name not in arguments:
        if parameter.required:
            raise _make_argument_error(endpoint, f"`{parameter.name}` is missing")
        return parameter.default
    value = arguments[parameter.name]
    if parameter.file == "one":
        return _convert_file(parameter, value)
    if parameter.file == "many":
        items = value if isinstance(value, list) or value is None else [value]
        return items and [_convert_file(parameter, item) for item in items]
    return value if parameter.file is None else _convert_nested_files(parameter.name, value)


def _convert_file(parameter: GradioParameter, value: Any) -> Any:
    """Convert a file to the app's format; null, and an object in the app's format, are unchanged."""
    key = parameter.file_key
    if value is None or (isinstance(value, Mapping) and key and key in value):
        return _convert_nested_files(parameter.name, value)
    file = _parse_file_or_url(parameter.name, value)
    if file is None:
        raise make_file_error(parameter.name)
    return {key: file} if key else file


def _parse_file_or_url(name: str, value: Any) -> Any:
    if isinstance(value, File):
        return value
    if isinstance(value, str) and value.lower().startswith(("http://", "https://")):
        return {"path": value, "meta": FILE_MARK}
    if isinstance(value, Mapping) and ("path" in value or "url" in value):
        return {"meta": FILE_MARK, **value}
    return parse_file(name, value, declared=True)


def _convert_nested_files(name: str, value: Any, depth: int = 0) -> Any:
    """Return ``value`` with every file in it converted, at any depth."""
    if depth > _MAX_DEPTH:
        raise CallFailed(f"`{name}` is nested too deeply", field=name)
    file = value if isinstance(value, File) else _parse_nested_file(name, value)
    if file is not None:
        return file
    if isinstance(value, Mapping):
        return {key: _convert_nested_files(name, item, depth + 1) for key, item in value.items()}
    return [_convert_nested_files(name, item, depth + 1) for item in value] if isinstance(value, list) else value


def _parse_nested_file(name: str, value: Any) -> File | None:
    # Among other values a string is more likely text: only what is certainly a file is treated as one.
    is_text = isinstance(value, str) and not _BASE64_URI.match(value)
    return None if is_text else parse_file(name, value, declared=False)


def _make_argument_error(endpoint: GradioEndpoint, problem: str) -> CallFailed:
    names = [
        parameter.name if parameter.required else f"{parameter.name} (optional)" for parameter in endpoint.parameters
    ]
    return CallFailed(f"{problem}; parameters: {', '.join(names) or 'none'}", endpoint=f"/{endpoint.api_name}")
