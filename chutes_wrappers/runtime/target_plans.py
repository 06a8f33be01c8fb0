"""What is the same in every call of a route: its parameters, and the pieces of its target path. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from chutes_wrappers.core.path_templates import PathVariable, find_variables
from chutes_wrappers.core.routes import Parameter, ParameterLocation

_LITERAL = "/%:@!$&'()*+,;=~-._"


@dataclass(frozen=True)
class TargetPlan:
    """The parameters of a route by place and name, also those that only its target path names.

    ``texts`` are the encoded texts before, between and after the ``variables`` of the path, ``query`` is the path's own.
    """

    parameters: dict[tuple[ParameterLocation, str], Parameter]
    texts: tuple[str, ...]
    variables: tuple[PathVariable, ...]
    query: str

    @property
    def fixed_target(self) -> str | None:
        """The target of every call without a query string; None if there are parameters."""
        if self.parameters:
            return None
        return f"{self.texts[0]}?{self.query}" if self.query else self.texts[0]


@dataclass(frozen=True)
class _Key:
    """What a plan depends on. Its hash leaves out the parameters: those of one path are nearly always the same objects."""

    target_path: str
    parameters: tuple[Parameter, ...]

    def __hash__(self) -> int:
        return hash(self.target_path)


def plan_target(target_path: str, parameters: tuple[Parameter, ...]) -> TargetPlan:
    """Return the plan for a route's target path and its declared parameters."""
    return _plan(_Key(target_path, parameters))


@lru_cache(maxsize=4096)
def _plan(key: _Key) -> TargetPlan:
    target_path, parameters = key.target_path, key.parameters
    path, _, query = target_path.partition("#")[0].partition("?")
    path_names = {parameter.name for parameter in parameters if parameter.place == "path"}
    variables = find_variables(path, path_names)
    ends = [0, *(variable.end for variable in variables)]
    starts = [*(variable.start for variable in variables), len(path)]
    every = [*parameters, *_find_undeclared(parameters, variables, query)]
    return TargetPlan(
        parameters={(parameter.place, parameter.name): parameter for parameter in every},
        texts=tuple(quote(path[end:start], safe=_LITERAL) for end, start in zip(ends, starts, strict=True)),
        variables=variables,
        query=query,
    )


def _find_undeclared(
    parameters: tuple[Parameter, ...], variables: tuple[PathVariable, ...], query: str
) -> Iterator[Parameter]:
    declared = {parameter.name for parameter in parameters if parameter.place == "path"}
    in_query = {parameter.name for parameter in parameters if parameter.place == "query"}
    names = [variable.name for variable in variables]
    names += [variable.name for variable in find_variables(query, declared) if variable.name not in in_query]
    for name in dict.fromkeys(names):
        if name not in declared:
            yield Parameter.model_validate({"name": name, "in": "path", "required": True})
