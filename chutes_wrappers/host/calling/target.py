"""Selection of a chute's cord for a call (PLATFORM.md, section 3, sentences 1 and 6). Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.overruled_rules import refuse
from chutes_wrappers.core.platform_rules import BODILESS_METHODS, NEWEST_PLATFORM_PATHS

_MOST_SUGGESTIONS = 5
# The methods of a call without --request, by whether it has a body, the preferred one first.
_METHODS_BY_BODY = {True: ("POST", "PUT", "PATCH"), False: ("GET", "POST")}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A call's ``method``, and its ``path`` with the query string; ``schema`` is the cord's schema of the body."""

    method: str
    path: str
    schema: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bare_path(self) -> str:
        """The path without the query string, which may contain secrets."""
        return self.path.partition("?")[0]


def build_target_without_cords(path: str, body: Mapping[str, Any] | None, method: str | None = None) -> Target:
    """Build the target when the chute's cords are unknown: by default a POST when there is a body, else a GET."""
    return Target(method=method or ("GET" if body is None else "POST"), path=_add_leading_slash(path))


def select_target(
    chute: Mapping[str, Any], path: str, body: Mapping[str, Any] | None, method: str | None = None
) -> Target:
    """Select the target by the cords in the API's ``chute``. Raise ConfigurationError when no cord accepts the call.

    Without ``method``, a body selects POST, PUT or PATCH, in this order. Without a body a GET cord is preferred, and a POST
    sends the empty object.
    """
    target = Target(method="", path=_add_leading_slash(path))
    cords = _find_public_cords(chute)
    matching_cords = [cord for cord in cords if cord["public_api_path"] == target.bare_path]
    where = f"the chute {chute.get('name')!r}"
    if not matching_cords:
        raise _build_unknown_path_error(where, target.bare_path, cords)
    if target.bare_path in NEWEST_PLATFORM_PATHS:
        problem = ConfigurationError(
            f"{target.bare_path} is served by the platform itself, and never reaches the chute",
            where=where,
            next_step="give the route another public path: --expose reserved",
        )
        refuse("shadowed-path", problem)
    methods = {str(cord.get("public_api_method", "")).upper() for cord in matching_cords}
    selected = _select_method(methods, has_body=body is not None, method=method, where=f"{where}, {target.bare_path}")
    if body is not None and selected in BODILESS_METHODS:
        problem = ConfigurationError(
            f"{target.bare_path} is a {selected} route, which accepts no body",
            where=where,
            next_step="remove -d and -F, and put parameters into the query string",
        )
        refuse("get-body", problem)
    _check_stream(where, target, matching_cords, body)
    return Target(method=selected, path=target.path, schema=_select_schema(matching_cords, selected))


def _select_method(methods: Set[str], *, has_body: bool, method: str | None, where: str) -> str:
    if method is None:
        return next((each for each in _METHODS_BY_BODY[has_body] if each in methods), min(methods))
    if method in methods:
        return method
    raise ConfigurationError(
        f"no cord has the method {method}", where=where, next_step=f"use --request {' or '.join(sorted(methods))}"
    )


def _add_leading_slash(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"


def _find_public_cords(chute: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    cords = chute.get("cords")
    return [
        cord
        for cord in (cords if isinstance(cords, list) else ())
        if isinstance(cord, dict) and cord.get("public_api_path")
    ]


def _select_schema(cords: Sequence[Mapping[str, Any]], method: str) -> Mapping[str, Any]:
    """Return the input schema of the first matching cord, which is the one that the platform uses."""
    first = next((cord for cord in cords if str(cord.get("public_api_method", "")).upper() == method), {})
    schema = first.get("input_schema")
    return schema if isinstance(schema, dict) else {}


def _build_unknown_path_error(where: str, path: str, cords: Sequence[Mapping[str, Any]]) -> ConfigurationError:
    paths = sorted({str(cord["public_api_path"]) for cord in cords})
    closest_paths = (
        difflib.get_close_matches(path.lower(), paths, n=_MOST_SUGGESTIONS, cutoff=0.5) or paths[:_MOST_SUGGESTIONS]
    )
    suggestions = [
        f"{cord.get('public_api_method')} {cord['public_api_path']}"
        for cord in cords
        if cord["public_api_path"] in closest_paths
    ]
    return ConfigurationError(
        f"no cord has the public path {path}",
        where=where,
        evidence="\n".join(suggestions) or None,
        next_step="call one of these" if suggestions else "deploy the module again: the platform lists no public cord",
    )


def _check_stream(
    where: str, target: Target, cords: Sequence[Mapping[str, Any]], body: Mapping[str, Any] | None
) -> None:
    """Raise ConfigurationError when the call requests a stream from a cord that does not stream.

    The platform would decode the plain response as a stream: a 500, and a failure of the instance (api).
    """
    query = parse_qs(target.path.partition("?")[2], keep_blank_values=True)
    is_stream_requested = bool(isinstance(body, Mapping) and body.get("stream")) or "stream" in query
    if is_stream_requested and not any(cord.get("stream") for cord in cords):
        problem = ConfigurationError(
            f"{target.bare_path} does not stream, and the platform fails on a call that requests a stream",
            where=where,
            next_step="remove `stream`, or make it a streaming route and deploy again",
        )
        refuse("stream-request", problem)
