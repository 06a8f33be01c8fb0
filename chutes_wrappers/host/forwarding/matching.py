"""Matching of a request for the service to the routes of the chute. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chutes_wrappers.core.cord_plan import PlannedCord
from chutes_wrappers.core.path_templates import find_variables
from chutes_wrappers.host.forwarding.http_values import normalise_path

# They separate the parameters of a segment, and the items of a list, unless they are encoded.
_DELIMITERS = ";,"


@dataclass(frozen=True, kw_only=True)
class Match:
    """A route, and its path parameters in the request, percent-encoded. ``has_rest``: the last one took several segments."""

    cord: PlannedCord
    path_values: dict[str, str]
    has_rest: bool = False


@dataclass(frozen=True, kw_only=True)
class _Pattern:
    cord: PlannedCord
    path: re.Pattern[str]
    names: tuple[str, ...]
    # The most specific route first: of two that match, the one with fewer parameters and more literal text.
    order: tuple[int, int]
    has_rest: bool


class RouteTable:
    """The routes of a chute, by their path on the services. Gradio endpoints have no single path, and are left out."""

    def __init__(self, cords: Iterable[PlannedCord]) -> None:
        patterns = [pattern for cord in cords if cord.route.gradio is None for pattern in _iter_patterns(cord)]
        self._patterns = sorted(patterns, key=lambda pattern: (pattern.has_rest, *pattern.order))

    def iter_matches(self, port: int, method: str, path: str) -> Iterator[Match]:
        """Yield the routes for a request to ``port``, with the path of its request line: the most specific first.

        After all others come the routes whose last variable takes the rest of the path. Frameworks have variables with
        slashes that no document shows, such as FastAPI's ``{name:path}``.
        """
        normalised = normalise_path(path, _DELIMITERS)
        for pattern in self._patterns:
            if (pattern.cord.port, pattern.cord.route.upstream_method) == (port, method) and (
                match := pattern.path.fullmatch(normalised)
            ):
                pairs = zip(pattern.names, match.groups(), strict=True)
                values = {name: value for name, value in pairs if value is not None}
                yield Match(cord=pattern.cord, path_values=values, has_rest=pattern.has_rest)


def _iter_patterns(cord: PlannedCord) -> Iterator[_Pattern]:
    path = cord.route.target_path.partition("#")[0].partition("?")[0]
    declared = {parameter.name for parameter in cord.route.parameters if parameter.place == "path"}
    variables = find_variables(path, declared)
    names = tuple(variable.name for variable in variables)
    if len(set(names)) < len(names):
        return  # no request says which value it means
    for has_rest in (False, True) if variables and not variables[-1].has_slashes else (False,):
        pieces, end = [], 0
        for index, variable in enumerate(variables):
            pieces.append(re.escape(normalise_path(path[end : variable.start], _DELIMITERS)))
            is_rest = has_rest and index == len(variables) - 1
            pieces.append(_build_variable(is_rest or variable.has_slashes, variable.is_optional))
            end = variable.end
        pieces.append(re.escape(normalise_path(path[end:], _DELIMITERS)))
        yield _Pattern(
            cord=cord,
            path=re.compile("".join(pieces)),
            names=names,
            order=(len(names), -(len(path) - sum(variable.end - variable.start for variable in variables))),
            has_rest=has_rest,
        )


def _build_variable(has_slashes: bool, is_optional: bool) -> str:
    value = "(.+)" if has_slashes else "([^/]+)"
    return f"(?:/{value})?" if is_optional else value
