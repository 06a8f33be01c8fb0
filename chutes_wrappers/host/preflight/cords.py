"""Cords of a chute that the platform would reject, or whose calls it would handle itself. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.host.preflight.problem import Problem

_Cord = Mapping[str, Any]


def find_cord_problems(described: Mapping[str, Any], file: str) -> Iterator[Problem]:
    """Yield the problems of the cords of the module in ``file``, in their order. ``described`` is what it defines.

    The API rejects an invalid cord of a first deployment with 400, and of an update with a bare 500 (api, section 2).
    """
    cords: Sequence[_Cord] = described["cords"]
    for cord in cords:
        where = f"{file}, cord {cord['function']}"
        yield from _find_internal_path_problems(cord, where)
        yield from _find_public_path_problems(cord, where)
        yield from _find_public_method_problems(cord, where)
        yield from _find_shadowed_path_problems(cord, where)
    yield from _find_duplicate_problems(cords, file)
    if not cords and not described.get("jobs"):
        yield Problem(
            rule="no-cord",
            what="the module defines no cord and no job",
            where=file,
            fix="run --discover to publish the routes of the service, or define a cord with @chute.cord(…)",
            only_on_platform=True,
        )
    yield from _find_hidden_cord_problems(cords, file)


def _find_internal_path_problems(cord: _Cord, where: str) -> Iterator[Problem]:
    path = cord["path"] or ""
    if not platform_rules.API_INTERNAL_PATH.match(path):
        yield Problem(
            rule="cord-path",
            what=f"invalid internal path {path!r}: each part must be a lower case letter followed by letters, digits or '_'",
            where=where,
            fix='set a valid path, as in path="/my_call"; the public path may have dashes',
        )


def _find_public_path_problems(cord: _Cord, where: str) -> Iterator[Problem]:
    path = cord["public_api_path"]
    if path and not platform_rules.API_PUBLIC_PATH.match(path):
        yield Problem(
            rule="public-path",
            what=f"invalid public path {path!r}: each part must be a lower case letter followed by letters, digits, '_' or '-'",
            where=where,
            fix='begin each part with a lower case letter, as in public_api_path="/v1/my-call"',
        )


def _find_public_method_problems(cord: _Cord, where: str) -> Iterator[Problem]:
    method = cord["public_api_method"]
    if method in platform_rules.API_PUBLIC_METHODS:
        return
    is_new = method in platform_rules.NEWEST_PUBLIC_METHODS
    accepted = " and ".join(platform_rules.API_PUBLIC_METHODS)
    yield Problem(
        rule="public-method",
        what=f"only the newest version of the API accepts the public method {method}: an older one, which accepts {accepted}, "
        "rejects the whole chute"
        if is_new
        else f"{method!r} is not a valid public method: the platform accepts {accepted}, and the newest version of the API "
        f"also {', '.join(platform_rules.NEWEST_PUBLIC_METHODS)}",
        where=f"{where}, {cord['public_api_path']}" if cord["public_api_path"] else where,
        fix=_suggest_public_method(str(method)),
        severity="warning" if is_new else "rejected",
    )


def _suggest_public_method(method: str) -> str:
    if method.upper() in platform_rules.API_PUBLIC_METHODS:
        return f'write public_api_method="{method.upper()}"'
    upstream = method.upper() if method.upper() in platform_rules.UPSTREAM_METHODS else "it"
    return (
        'publish it as POST, which every version accepts: public_api_method="POST" on a cord, no public_methods for routes; '
        f"the service still receives {'a ' if upstream != 'it' else ''}{upstream}"
    )


def _find_shadowed_path_problems(cord: _Cord, where: str) -> Iterator[Problem]:
    path = cord["public_api_path"]
    if path in platform_rules.NEWEST_RESERVED_PATHS:
        yield Problem(
            rule="reserved-path",
            what=f"the newest version of the platform's API refuses the public path {path}, and with it the whole chute",
            where=where,
            fix=f'publish it under another path, such as public_api_path="/my{path}"',
            severity="warning",
        )
    if path and platform_checks.is_shadowed(path):
        yield Problem(
            rule="shadowed-path",
            what=f"calls to {path} never reach the chute: the platform handles them itself",
            where=where,
            fix=f'publish it under another path, such as public_api_path="/my{path}"',
            severity="warning",
        )


def _find_duplicate_problems(cords: Sequence[_Cord], file: str) -> Iterator[Problem]:
    path_counts = Counter(cord["path"] for cord in cords if cord["path"])
    for path in (path for path, count in path_counts.items() if count > 1):
        functions = ", ".join(cord["function"] for cord in cords if cord["path"] == path)
        yield Problem(
            rule="duplicate-path",
            what=f"the internal path {path} belongs to {path_counts[path]} cords: {functions}",
            where=file,
            fix="give each cord a different path=, whatever its method",
        )


def _find_hidden_cord_problems(cords: Sequence[_Cord], file: str) -> Iterator[Problem]:
    """Of several cords with one public call the platform uses the first.

    Only a stream and a plain cord can share a call (api, section 3).
    """
    first_functions: dict[tuple[Any, ...], str] = {}
    for cord in cords:
        call = (cord["public_api_method"], cord["public_api_path"], cord["stream"])
        first_function = first_functions.setdefault(call, cord["function"])
        if cord["public_api_path"] and first_function != cord["function"]:
            yield Problem(
                rule="hidden-cord",
                what=f"calls to {call[0]} {call[1]} never reach it: the platform uses the first cord, {first_function}",
                where=f"{file}, cord {cord['function']}",
                fix="give it a different public path",
                severity="warning",
            )
