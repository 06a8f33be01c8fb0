"""Stories: which route's response has the value of another route's path parameter, and that value. Pure.

``POST /items`` creates what ``GET``, ``PUT`` and ``DELETE /items/{id}`` need. Links of a specification say so; without them
the paths suggest it.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chutes_wrappers.core.cord_plan import PlannedCord
from chutes_wrappers.core.path_templates import parse_variable_name
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.parity.comparison import HttpResponse

_VARIABLE = re.compile(r"\{([^{}]+)\}")
_INDEX = re.compile(r"[0-9]{1,9}")
_CREATING_ENDS = ("", "/create", "/new", "/add")
_LISTING_ENDS = ("", "/list", "/index", "/all", "/filter", "/search", "/query")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
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

    With ``pointer`` (RFC 6901) it is that value of the response, with ``field`` that of the request. Without both it is the
    value in the response that identifies the item, or the request's own. ``is_exact``: only a field with the parameter's name is it.
    ``is_default``: only if the list does not have the value of the example.
    """

    parameter: str
    source: str
    pointer: str | None = None
    field: str | None = None
    is_exact: bool = False
    is_default: bool = False


def plan_stories(cords: Sequence[PlannedCord]) -> dict[str, tuple[StorySource, ...]]:
    """Return the sources of each cord's parameters by its name, the best source of a parameter first.

    First come those that the paths suggest, then those of a parameter with the same name in another path. Last come those of
    the kind of item that the name begins with: ``flow_id`` is of ``POST /flows``.
    """
    index = _Index(cords)
    by_path = {cord.name: index.find_by_path(cord) for cord in cords}
    by_name: dict[tuple[int, str], list[StorySource]] = {}
    for cord in cords:
        for source in by_path[cord.name]:
            by_name.setdefault((cord.port, source.parameter), []).append(source)
    stories = {}
    for cord in cords:
        sources = [*by_path[cord.name]]
        for parameter in _list_needed(cord.route):
            same = by_name.get((cord.port, parameter), ()) if len(_WORD.findall(parameter)) > 1 else ()
            sources += [*same, *index.find_by_name(cord, parameter)]
        # The item that has the value of one variable may have that of the next.
        variables = [variable for variable, _ in _iterate_variables(cord.route.target_path)]
        for earlier, later in itertools.pairwise(variables):
            same = [each for each in sources if each.parameter == earlier]
            sources += [replace(each, parameter=later, is_exact=True, pointer=None, field=None) for each in same]
        unique = tuple(dict.fromkeys(each for each in sources if each.source != cord.name))
        if unique:
            stories[cord.name] = unique
    return stories


def _is_free_text(schema: Any) -> bool:
    """Return whether the schema of a field allows many texts or numbers, as far as it says so itself."""
    if not isinstance(schema, Mapping):
        return True
    types = schema.get("type", "string")
    return not {"enum", "const"} & schema.keys() and ("string" in types or "integer" in types)


class _Index:
    """The routes that create or list items, by port and by path with its variables as ``{}``."""

    def __init__(self, cords: Sequence[PlannedCord]) -> None:
        self._posts: dict[tuple[int, str], list[str]] = {}
        self._gets: dict[tuple[int, str], list[str]] = {}
        self._collections: dict[tuple[int, str], list[str]] = {}
        for cord in cords:
            paths = {"POST": self._posts, "GET": self._gets}.get(cord.route.upstream_method)
            if paths is None or cord.stream:
                continue
            path = _normalise(cord.route.target_path)
            paths.setdefault((cord.port, path), []).append(cord.name)
            last = path.rpartition("/")[2]
            known = self._collections.setdefault((cord.port, _make_singular(last)), [])
            if last != "{}" and path not in known:
                known.append(path)

    def find_by_path(self, cord: PlannedCord) -> list[StorySource]:
        """Return the sources of the variables of a path: what creates an item, lists them, or has them in another item."""
        sources: list[StorySource] = []
        for variable, collection in _iterate_variables(cord.route.target_path):
            sources += [
                StorySource(parameter=variable, source=name) for name in self._find_items(cord.port, collection)
            ]
            parent = collection.rpartition("/")[0]
            lists = [] if parent.endswith("{}") else self._find_lists(cord.port, parent, _LISTING_ENDS[1:])
            sources += [StorySource(parameter=variable, source=name) for name in lists]
            if parent.endswith("{}"):
                owners = self._gets.get((cord.port, parent), ())
                sources += [StorySource(parameter=variable, source=name, is_exact=True) for name in owners]
        return sources

    def find_by_name(self, cord: PlannedCord, parameter: str) -> list[StorySource]:
        """Return the sources of a parameter such as ``flow_id``: ``/flows``, the shortest path first, or a sibling's POST."""
        words = [word.lower() for word in _WORD.findall(parameter)]
        if len(words) == 1 and words[0] not in _IDENTIFIERS:
            paths = self._collections.get((cord.port, _make_singular(parameter)), [])
            lists = [name for path in sorted(paths, key=len) for name in self._gets.get((cord.port, path), ())]
            return [StorySource(parameter=parameter, source=name, is_default=True) for name in lists]
        if len(words) < 2 or words[-1] not in _IDENTIFIERS:
            return []
        paths = self._collections.get((cord.port, _make_singular("".join(words[:-1]))), [])
        items = [name for path in sorted(paths, key=len) for name in self._find_items(cord.port, path)]
        parent = _normalise(cord.route.target_path).rpartition("/")[0] + "/"
        siblings = [
            name
            for (port, path), names in self._posts.items()
            if port == cord.port and path.startswith(parent) and "/" not in path[len(parent) :]
            for name in names
        ]
        return [
            *(StorySource(parameter=parameter, source=name) for name in items),
            *(StorySource(parameter=parameter, source=name, is_exact=True) for name in siblings),
        ]

    def _find_items(self, port: int, collection: str) -> list[str]:
        """Return the routes that create an item of a collection, then those that list them."""
        creating = [name for end in _CREATING_ENDS for name in self._posts.get((port, collection + end), ())]
        return [*creating, *self._find_lists(port, collection, _LISTING_ENDS)]

    def _find_lists(self, port: int, path: str, ends: Sequence[str]) -> list[str]:
        listing = [name for end in ends for name in self._gets.get((port, path + end), ())]
        return [*listing, *(name for end in ends if end for name in self._posts.get((port, path + end), ()))]


def _list_needed(route: Route) -> list[str]:
    """Return the names of what a call of ``route`` must have: its variables, and required fields of query and body."""
    variables = [variable for variable, _ in _iterate_variables(route.target_path)]
    queries = [each.name for each in route.parameters if each.place == "query" and each.required]
    required = (route.input_schema or {}).get("required", ())
    properties = (route.input_schema or {}).get("properties", {})
    fields = [
        name
        for name in (required if isinstance(required, list | tuple) else ())
        if isinstance(name, str) and _is_free_text(properties.get(name))
    ]
    return [*dict.fromkeys([*variables, *queries, *fields])]


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
    """Return the value for ``source.parameter`` from the response and the public request of its source; None without one."""
    if source.field is not None:
        return request.get(source.field)
    if not 200 <= response.status < 300:
        return None
    value = response.json()
    if source.pointer is not None:
        return _follow(value, source.pointer)
    collection = source.source.rstrip("/").rsplit("/", 1)[-1]
    if source.is_exact:
        return _find_exact(value, source.parameter)
    identifier = _find_identifier(value, source.parameter, collection)
    return identifier if identifier is not None else _find_scalar(request, _list_names(source.parameter, collection))


def is_listed(value: Any, response: HttpResponse) -> bool:
    """Return whether a response of a service has ``value`` in its JSON."""
    return value is not None and json.dumps(value).encode() in response.body


def _find_exact(value: Any, parameter: str) -> str | int | None:
    """Return the value of a field named like the parameter, without its first word, or as a list: ``versions``."""
    for _ in range(4):  # lists, and wrappers around the item
        if isinstance(value, list):
            value = value[0] if value else None
            continue
        if not isinstance(value, Mapping):
            return None
        short = "".join(_WORD.findall(parameter)[1:])
        names = [parameter, short] if short and _compact(short) not in _IDENTIFIERS else [parameter]
        lists = {key.removesuffix("s"): each[0] for key, each in value.items() if isinstance(each, list) and each}
        exact = _find_scalar(value, names)
        exact = exact if exact is not None else _find_scalar(lists, names)
        if exact is not None:
            return exact
        value = next((value[key] for key in _WRAPPERS if isinstance(value.get(key), Mapping | list)), None)
    return None


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
        elif isinstance(value, list) and _INDEX.fullmatch(key) and int(key) < len(value):
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
    identifier = _find_scalar(value, _list_names(parameter, collection))
    if identifier is not None:
        return identifier
    inner = [
        value[key]
        for key in (collection, _make_singular(collection), *_WRAPPERS)
        if isinstance(value.get(key), (Mapping, list))
    ]
    identifiers = (_find_identifier(child, parameter, collection) for child in inner)
    return next((identifier for identifier in identifiers if identifier is not None), None)


def _list_names(parameter: str, collection: str) -> list[str]:
    """Return the fields that may identify an item of ``collection``, the likeliest first."""
    singular = _make_singular(collection)
    return [parameter, *_IDENTIFIERS, f"{singular}id", f"{singular}name", singular]


def _find_scalar(fields: Mapping[str, Any], names: Sequence[str]) -> str | int | None:
    """Return the first field with one of ``names``, whatever their capitals and underscores, that is text or a number."""
    by_name = {
        _compact(key): value
        for key, value in reversed([*fields.items()])
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value != ""
    }
    return next((by_name[_compact(name)] for name in names if _compact(name) in by_name), None)


def _make_singular(name: str) -> str:
    """Return the letters of a collection's name, without the end of a plural: ``categories`` is ``category``."""
    text = _compact(name)
    return text[:-3] + "y" if text.endswith("ies") else text.removesuffix("s")


def _compact(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
