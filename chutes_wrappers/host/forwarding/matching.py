"""Matching of a request for the service to a route of the chute. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote_from_bytes, unquote, unquote_to_bytes

from chutes_wrappers.core.cord_plan import PlannedCord
from chutes_wrappers.core.path_templates import VARIABLE, parse_variable_name

_LITERAL = "!$&'()*+,;=:@-._~"


@dataclass(frozen=True, kw_only=True)
class Match:
    """A route, and the values of its path parameters in the request."""

    cord: PlannedCord
    path_values: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class _Pattern:
    cord: PlannedCord
    path: re.Pattern[str]
    names: tuple[str, ...]
    # The most specific route first: of two that match, the one with fewer parameters and more literal text.
    order: tuple[int, int]


class RouteTable:
    """The routes of a chute, by their path on the services. Gradio endpoints have no single path, and are left out."""

    def __init__(self, cords: Iterable[PlannedCord]) -> None:
        patterns = [_build_pattern(cord) for cord in cords if cord.route.gradio is None]
        self._patterns = sorted(patterns, key=lambda pattern: pattern.order)

    def match(self, port: int, method: str, path: str) -> Match | None:
        """Return the route for a request to ``port``, with the path of its request line. A HEAD matches the route of its GET."""
        expected_method, normalized = ("GET" if method == "HEAD" else method), _normalize(path)
        for pattern in self._patterns:
            if (pattern.cord.port, pattern.cord.route.upstream_method) != (port, expected_method):
                continue
            if match := pattern.path.fullmatch(normalized):
                values = dict(zip(pattern.names, map(unquote, match.groups()), strict=True))
                return Match(cord=pattern.cord, path_values=values)
        return None


def _build_pattern(cord: PlannedCord) -> _Pattern:
    path = cord.route.target_path.partition("?")[0]
    names = tuple(map(parse_variable_name, VARIABLE.findall(path)))
    pieces, end = [], 0
    for match in VARIABLE.finditer(path):
        pieces.append(re.escape(_normalize(path[end : match.start()])))
        pieces.append("([^/]+)" if parse_variable_name(match[1]) == match[1] else "(.+)")
        end = match.end()
    pieces.append(re.escape(_normalize(path[end:])))
    return _Pattern(
        cord=cord,
        path=re.compile("".join(pieces)),
        names=names,
        order=(len(names), -len(VARIABLE.sub("", path))),
    )


def _normalize(path: str) -> str:
    """Return ``path`` with each character encoded in one way, so that different spellings of a path are equal."""
    return "/".join(quote_from_bytes(unquote_to_bytes(segment), safe=_LITERAL) for segment in path.split("/"))
