"""Examples of calls to a module's routes: ``CHUTE_EXAMPLES``.

``{"POST /speak": {"text": "SOS"}, "POST /hear": {"file": {"answer_of": "POST /speak"}}}``: a public method and path → the JSON
object that a caller sends. ``{"answer_of": ROUTE}`` is replaced with another route's response as a file. With a
``"pointer": "/id"`` (RFC 6901) it is that value of its JSON. ``{"content_of": PATH}`` is replaced with a file beside the module.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.parity.comparison import HttpResponse
from chutes_wrappers.runtime.files import BINARY_TYPE, File
from chutes_wrappers.runtime.media_types import guess_extension, guess_type_of_name

_ROUTE = re.compile(r"(GET|POST|PUT|PATCH|DELETE) /\S*")
_RESPONSE_KEY, _POINTER_KEY, _CONTENT_KEY = "answer_of", "pointer", "content_of"
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_MAX_NAMED_KEYS = 8
Examples = Mapping[str, Mapping[str, Any]]


class MissingValue(WrapperError):
    """A pointer of an example finds no value in the response that it is for."""


def check_examples(value: Any, where: str) -> dict[str, dict[str, Any]]:
    """Return ``CHUTE_EXAMPLES`` as dictionaries. Raises ConfigurationError with the reason when it is invalid."""
    if not isinstance(value, Mapping):
        raise _make_error(where, f"it is a {type(value).__name__}, not a dictionary")
    for route, example in value.items():
        if not isinstance(route, str) or not _ROUTE.fullmatch(route):
            raise _make_error(where, f"the key {route!r} is not a valid method and path")
        if not isinstance(example, Mapping):
            raise _make_error(where, f"the example of {route} is a {type(example).__name__}, not an object")
        for reference in _iterate_references(example):
            if problem := _find_reference_problem(route, reference, value):
                raise _make_error(where, problem)
    return {route: dict(example) for route, example in value.items()}


def _make_error(where: str, reason: str) -> ConfigurationError:
    next_step = 'write it as in CHUTE_EXAMPLES = {"POST /speak": {"text": "SOS"}}'
    return ConfigurationError(f"CHUTE_EXAMPLES: {reason}", where=where, next_step=next_step)


def _find_reference_problem(route: str, reference: Mapping[str, Any], examples: Mapping[Any, Any]) -> str:
    """Return what is wrong with a reference in the example of ``route``; empty if nothing is."""
    source, pointer = reference[_RESPONSE_KEY], reference.get(_POINTER_KEY)
    if _POINTER_KEY in reference and not (isinstance(pointer, str) and _POINTER.fullmatch(pointer)):
        return f'the pointer {pointer!r} in the example of {route} is not a valid JSON pointer: write it as "/id" or "/items/0/id"'
    if source == route:
        return f"{route} needs its own response"
    # A value can come from any route. A file is the response to an example that someone wrote.
    if pointer is None and source not in examples:
        return f"{route} needs the response of {source!r}, which is not another key of CHUTE_EXAMPLES"
    if not isinstance(source, str) or not _ROUTE.fullmatch(source):
        return f"{route} needs the response of {source!r}, which is not a valid method and path"
    return ""


def find_referenced_routes(example: Any) -> Iterator[str]:
    """Yield the routes whose responses ``example`` refers to."""
    for reference in _iterate_references(example):
        yield str(reference[_RESPONSE_KEY])


def _iterate_references(example: Any) -> Iterator[Mapping[str, Any]]:
    if _is_reference(example):
        yield example
    elif isinstance(example, (Mapping, list)):
        for child in example.values() if isinstance(example, Mapping) else example:
            yield from _iterate_references(child)


def _is_reference(example: Any) -> bool:
    return isinstance(example, Mapping) and example.keys() in ({_RESPONSE_KEY}, {_RESPONSE_KEY, _POINTER_KEY})


def resolve_example(example: Any, folder: Path, get_response: Callable[[str], HttpResponse]) -> Any:
    """Return ``example`` with the files and values that it refers to, in the form that callers send.

    Raises ConfigurationError for a file that cannot be read, MissingValue for a pointer that finds nothing, and what
    ``get_response`` raises.
    """
    if isinstance(example, Mapping):
        if _is_reference(example):
            return _resolve_reference(example, get_response(str(example[_RESPONSE_KEY])))
        if example.keys() == {_CONTENT_KEY}:
            return _read_file(folder / str(example[_CONTENT_KEY]))
        return {name: resolve_example(child, folder, get_response) for name, child in example.items()}
    if isinstance(example, list):
        return [resolve_example(child, folder, get_response) for child in example]
    return example


def _resolve_reference(reference: Mapping[str, Any], response: HttpResponse) -> Any:
    """Return the value of ``response`` that a reference points to, or without a pointer the response as a file."""
    pointer = reference.get(_POINTER_KEY)
    if pointer is None:
        filename = f"answer{guess_extension(response.media_type)}"
        return File(filename=filename, content_type=response.content_type, data=response.body).to_json()
    source = reference[_RESPONSE_KEY]
    value = response.json()
    if value is None and response.body.strip() != b"null":
        raise MissingValue(f"the response of {source} is not JSON, so it has no value at {pointer!r}")
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and _INDEX.fullmatch(key) and int(key) < len(value):
            value = value[int(key)]
        else:
            raise MissingValue(f"the response of {source} has no value at {pointer!r}: {_describe_place(value, key)}")
    return value


def _describe_place(value: Any, key: str) -> str:
    """Return what is where ``key`` was expected."""
    if isinstance(value, list):
        return f"a list of {len(value)} is at {key[:80]!r}"
    if not isinstance(value, dict):
        return f"no object is at {key[:80]!r}"
    names = clean_text(", ".join(name[:80] for name in [*value][:_MAX_NAMED_KEYS]))
    return f"instead of {key[:80]!r} there is {names or 'an empty object'}"


def _read_file(path: Path) -> dict[str, str]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"the file of an example cannot be read ({error.strerror})",
            where=str(path),
            next_step="correct its content_of in CHUTE_EXAMPLES",
        ) from error
    return File(filename=path.name, content_type=guess_type_of_name(path.name) or BINARY_TYPE, data=data).to_json()
