"""Examples of calls to a module's routes: ``CHUTE_EXAMPLES``.

``{"POST /speak": {"text": "SOS"}, "POST /hear": {"file": {"answer_of": "POST /speak"}}}``: a public method and path → the JSON
object that a caller sends. ``{"answer_of": ROUTE}`` is replaced with another route's response as a file, and
``{"content_of": PATH}`` with a file beside the module.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.parity.comparison import HttpResponse
from chutes_wrappers.runtime.files import BINARY_TYPE, File
from chutes_wrappers.runtime.media_types import guess_extension, guess_type_of_name

_ROUTE = re.compile(r"(GET|POST|PUT|PATCH|DELETE) /\S*")
_RESPONSE_KEY, _CONTENT_KEY = "answer_of", "content_of"
Examples = Mapping[str, Mapping[str, Any]]


def check_examples(value: Any, where: str) -> dict[str, dict[str, Any]]:
    """Return ``CHUTE_EXAMPLES`` as dictionaries. Raises ConfigurationError with the reason when it is invalid."""
    if not isinstance(value, Mapping):
        raise _make_error(where, f"it is a {type(value).__name__}, not a dictionary")
    for route, example in value.items():
        if not isinstance(route, str) or not _ROUTE.fullmatch(route):
            raise _make_error(where, f"the key {route!r} is not a valid method and path")
        if not isinstance(example, Mapping):
            raise _make_error(where, f"the example of {route} is a {type(example).__name__}, not an object")
        for source in find_referenced_routes(example):
            if source not in value or source == route:
                raise _make_error(
                    where, f"{route} needs the response of {source!r}, which is not another key of CHUTE_EXAMPLES"
                )
    return {route: dict(example) for route, example in value.items()}


def _make_error(where: str, reason: str) -> ConfigurationError:
    next_step = 'write it as in CHUTE_EXAMPLES = {"POST /speak": {"text": "SOS"}}'
    return ConfigurationError(f"CHUTE_EXAMPLES: {reason}", where=where, next_step=next_step)


def find_referenced_routes(example: Any) -> Iterator[str]:
    """Yield the routes whose responses ``example`` refers to."""
    if isinstance(example, Mapping):
        if example.keys() == {_RESPONSE_KEY}:
            yield str(example[_RESPONSE_KEY])
        for child in example.values():
            yield from find_referenced_routes(child)
    elif isinstance(example, list):
        for child in example:
            yield from find_referenced_routes(child)


def resolve_example(example: Any, folder: Path, get_response: Callable[[str], HttpResponse]) -> Any:
    """Return ``example`` with the files that it refers to, in the form that callers send.

    Raises ConfigurationError for a file that cannot be read, and what ``get_response`` raises.
    """
    if isinstance(example, Mapping):
        if example.keys() == {_RESPONSE_KEY}:
            response = get_response(str(example[_RESPONSE_KEY]))
            filename = f"answer{guess_extension(response.media_type)}"
            return File(filename=filename, content_type=response.content_type, data=response.body).to_json()
        if example.keys() == {_CONTENT_KEY}:
            return _read_file(folder / str(example[_CONTENT_KEY]))
        return {name: resolve_example(child, folder, get_response) for name, child in example.items()}
    if isinstance(example, list):
        return [resolve_example(child, folder, get_response) for child in example]
    return example


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
