"""Stories: which route's response has the value of another route's path parameter, and that value. Pure.

``POST /items`` creates what ``GET``, ``PUT`` and ``DELETE /items/{id}`` need. Links of a specification say so; without them
the paths suggest it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chutes_wrappers.core.cord_plan import PlannedCord
from chutes_wrappers.core.path_templates import parse_variable_name
from chutes_wrappers.host.parity.comparison import HttpResponse

_VARIABLE = re.compile(r"\{([^{}]+)\}")
_CREATING_ENDS = ("", "/create", "/new", "/add")
# The usual names of what identifies an item, the most specific first.
_IDENTIFIERS = ("id", "_id", "uuid", "guid", "key", "slug", "name", "code")
_WRAPPERS = (
    "data",
    "item",
    "result",
    "results",
    "items",
    "content",
    "records",
    "response",
    "payload",
    "value",
    "values",
)
_CHANGING = ("PUT", "PATCH", "POST")
_REMOVING = frozenset({"delete", "remove", "destroy"})


@dataclass(frozen=True, kw_only=True)
class StorySource:
    """Where the value of ``parameter`` comes from: the response or the request of the route ``source``.

    With ``pointer`` (RFC 6901) it is that value of the response, with ``field`` that of the request; otherwise the value in
    the response that identifies the item, or the request's own.
    """

    parameter: str
    source: str
    pointer: str | None = None
    field: str | None = None


def plan_stories(cords: Sequence[PlannedCord]) -> dict[str, tuple[StorySource, ...]]:
    """Return the sources of each cord's path parameters by its name, the best source of a parameter first."""
    creators: dict[tuple[int, str], list[str]] = {}
    lists: dict[tuple[int, str], list[str]] = {}
    for cord in cords:
        by_path = (
            creators if cord.route.upstream_method == "POST" else lists if cord.route.upstream_method == "GET" else None
        )
        if by_path is not None and not cord.stream:
            by_path.setdefault((cord.port, _normalise(cord.route.target_path)), []).append(_name(cord))
    stories = {}
    for cord in cords:
        sources: list[StorySource] = []
        for variable, collection in _iterate_variables(cord.route.target_path):
            creating = [name for end in _CREATING_ENDS for name in creators.get((cord.port, collection + end), ())]
            found = [*creating, *lists.get((cord.port, collection), ())]
            sources += [StorySource(parameter=variable, source=name) for name in found if name != _name(cord)]
        if sources:
            stories[_name(cord)] = tuple(sources)
    return stories


def rank_in_story(cord: PlannedCord) -> tuple[int, int]:
    """Return the place of a call in its story: create, read, change, and then delete, the deepest path first."""
    method, path = cord.route.upstream_method, cord.route.target_path.lower().partition("?")[0]
    segments = path.split("/")
    if method == "DELETE" or segments[-1] in _REMOVING:
        return 3, -len(segments)
    if method == "POST" and "{" not in path:
        return 0, 0
    return 2 if method in _CHANGING else 1, 0


def find_value(source: StorySource, response: HttpResponse, request: Mapping[str, Any]) -> Any:
    """Return the value for ``source.parameter`` from the response and the public request of its source; None if there is none."""
    if source.field is not None:
        return request.get(source.field)
    if not 200 <= response.status < 300:
        return None
    value = response.json()
    if source.pointer is not None:
        return _follow(value, source.pointer)
    collection = source.source.rstrip("/").rsplit("/", 1)[-1]
    found = _find_identifier(value, source.parameter, collection)
    return found if found is not None else _find_scalar(request, [source.parameter])


def _name(cord: PlannedCord) -> str:
    return f"{cord.public_method} {cord.public_path}"


def _normalise(path: str) -> str:
    return _VARIABLE.sub("{}", path.partition("?")[0].rstrip("/"))


def _iterate_variables(path: str) -> Iterator[tuple[str, str]]:
    """Yield each variable that is a whole segment, and the normalised path of its collection."""
    segments = path.partition("?")[0].rstrip("/").split("/")
    for index, segment in enumerate(segments):
        match = _VARIABLE.fullmatch(segment)
        if match and index > 1:
            yield parse_variable_name(match[1]), _normalise("/".join(segments[:index]))


def _follow(value: Any, pointer: str) -> Any:
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key.isascii() and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _find_identifier(value: Any, parameter: str, collection: str) -> str | int | None:
    """Return what identifies the item in a response: a scalar, the field of an object, or of the first object of a list."""
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return value if value != "" else None
    if isinstance(value, list):
        return _find_identifier(value[0], parameter, collection) if value else None
    if not isinstance(value, Mapping):
        return None
    singular = _compact(collection).removesuffix("s")
    names = [parameter, *_IDENTIFIERS, f"{singular}id", f"{singular}name", singular]
    found = _find_scalar(value, names)
    if found is not None:
        return found
    inner = [value[key] for key in (collection, singular, *_WRAPPERS) if isinstance(value.get(key), (Mapping, list))]
    return next(
        (found for child in inner if (found := _find_identifier(child, parameter, collection)) is not None), None
    )


def _find_scalar(fields: Mapping[str, Any], names: Sequence[str]) -> str | int | None:
    """Return the first field with one of ``names``, whatever their capitals and underscores, that is text or a number."""
    by_name = {
        _compact(key): value
        for key, value in reversed([*fields.items()])
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value != ""
    }
    return next((by_name[_compact(name)] for name in names if _compact(name) in by_name), None)


def _compact(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
