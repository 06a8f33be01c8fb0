"""``CHUTE_CHECKS`` of a deploy module: what the parity check is to know of a route that its example does not say. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.platform_rules import API_CALL_LIMIT_S
from chutes_wrappers.core.route_checks import find_header_problem
from chutes_wrappers.core.routes import METHODS

_ROUTE = re.compile(rf"({'|'.join(METHODS)}) /\S*")
_KEYS = ("skip", "status", "headers", "after", "timeout")
_STEP = 'write it as in CHUTE_CHECKS = {"POST /x": {"skip": "needs a licence", "timeout": 600}}'
_MIN_STATUS, _MAX_STATUS, _NOT_IMPLEMENTED = 200, 499, 501


@dataclass(frozen=True, kw_only=True)
class CheckRule:
    """The entry of one route. ``skip`` is why it is not called, or empty. ``status`` is the one that proves it; None: any success.

    ``headers`` are sent to the service. ``after`` is the route that must have succeeded before, or empty. ``timeout_s`` is
    None for the default.
    """

    skip: str = ""
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    after: str = ""
    timeout_s: float | None = None


NO_RULE = CheckRule()
CheckRules = Mapping[str, CheckRule]


def parse_checks(value: Any, where: str) -> dict[str, CheckRule]:
    """Parse ``CHUTE_CHECKS``. Raises ConfigurationError with the route, the key, the value and the reason if it is invalid."""
    if not isinstance(value, Mapping):
        raise _make_error(where, f"it is a {type(value).__name__}, not a dictionary")
    rules = {}
    for route, entry in value.items():
        if not isinstance(route, str) or not _ROUTE.fullmatch(route):
            raise _make_error(where, f"the key {route!r} is not a valid method and path")
        if not isinstance(entry, Mapping):
            raise _make_error(where, f"the value of {route} is a {type(entry).__name__}, not a dictionary")
        for reason in _find_problems(route, entry):
            raise _make_error(where, reason)
        rules[route] = _build_rule(entry)
    _check_order(rules, where)
    return rules


def check_rule_names(rules: CheckRules, routes: Collection[str], where: str) -> None:
    """Raise ConfigurationError for a rule of a route that is not one of the chute's ``routes``, with a similar name."""
    for route, rule in rules.items():
        for name in (route, rule.after) if rule.after else (route,):
            if name not in routes:
                raise _make_error(where, describe_unknown_route(name, routes), "name a public route of the chute")


def describe_unknown_route(name: str, routes: Collection[str]) -> str:
    """Return that the chute has no route of this name, with the one of ``routes`` that is most similar."""
    close = difflib.get_close_matches(name, routes, n=1, cutoff=0.5)
    return f"the chute has no route {name!r}{f'; did you mean {close[0]}?' if close else ''}"


def _find_problems(route: str, entry: Mapping[Any, Any]) -> Iterator[str]:
    for key, value in entry.items():
        if key not in _KEYS:
            close = difflib.get_close_matches(str(key), _KEYS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"use some of {', '.join(_KEYS)}"
            yield f"{route} has the unknown key {key!r}: {hint}"
        elif (reason := _find_value_problem(key, value)) is not None:
            yield f"{key!r} of {route} is {reason}"


def _find_value_problem(key: str, value: Any) -> str | None:
    if key == "skip" and not (isinstance(value, str) and value.strip()):
        return f"{value!r}, not the reason as a text"
    if key == "status" and not _is_visible_status(value):
        return f"{value!r}, not a status from {_MIN_STATUS} to {_MAX_STATUS}: a caller of a chute sees no 5xx of its service"
    if key == "headers":
        return _find_headers_problem(value)
    if key == "after" and not (isinstance(value, str) and _ROUTE.fullmatch(value)):
        return f"{value!r}, not a method and path"
    if key == "timeout":
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < value <= API_CALL_LIMIT_S:
            return f"{value!r}, not a number of seconds up to {API_CALL_LIMIT_S:g}, the platform's limit of a call"
    return None


def _is_visible_status(value: Any) -> bool:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return is_number and (_MIN_STATUS <= value <= _MAX_STATUS or value == _NOT_IMPLEMENTED)


def _find_headers_problem(value: Any) -> str | None:
    if not isinstance(value, Mapping) or not all(isinstance(part, str) for item in value.items() for part in item):
        return "not a dictionary of names and texts"
    for name, text in value.items():
        if problem := find_header_problem(name):
            return f"invalid: {problem}"
        if not text.isprintable():
            return f"invalid: the value of {name} has control characters"
    return None


def _build_rule(entry: Mapping[str, Any]) -> CheckRule:
    return CheckRule(
        skip=str(entry.get("skip", "")).strip(),
        status=entry.get("status"),
        headers=dict(entry.get("headers", {})),
        after=entry.get("after", ""),
        timeout_s=entry.get("timeout"),
    )


def _check_order(rules: CheckRules, where: str) -> None:
    for route in rules:
        chain: list[str] = [route]
        while (after := rules.get(chain[-1], NO_RULE).after) and after not in chain:
            chain.append(after)
        if after:
            raise _make_error(where, f"{' after '.join([*chain, after])} is a circle", "remove one 'after'")


def _make_error(where: str, reason: str, next_step: str = _STEP) -> ConfigurationError:
    return ConfigurationError(f"CHUTE_CHECKS: {reason}", where=where, next_step=next_step)
