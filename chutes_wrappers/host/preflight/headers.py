"""Problems of a module's ``CHUTE_HEADERS``: literal secrets, variables that others can read, and missing credentials. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chutes_wrappers.core.module_headers import HEADERS_VARIABLE, format_secret_command, matches_key
from chutes_wrappers.core.platform_checks import is_banned_secret, is_exceptable_secret
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.discovery.credentials import KEY_VARIABLE, list_credentials, suggest_header
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.preflight.problem import Problem
from chutes_wrappers.runtime.tunnel_frames import PUBLIC_PATH as TUNNEL_PATH

# Headers that carry credentials: those of RFC 9110 and RFC 6265, and the usual names of API keys.
_CREDENTIAL_HEADER = re.compile(
    r"(?i)^(proxy-)?authorization$|^cookie$|(^|-)(api-?key|key|token|secret|password|auth)(-|$)"
)


def find_header_problems(
    facts: ModuleFacts, described: Mapping[str, Any], code: str, routes: Iterable[Route]
) -> Iterator[Problem]:
    """Yield the problems of the module with the source ``code`` that defines ``described`` (``sdk/describe.py``)."""
    where = f"{facts.path}, {HEADERS_VARIABLE}"
    yield from _find_literal_problems(facts, code, where)
    yield from _find_variable_problems(facts, described, where)
    routes = tuple(routes)
    yield from _find_missing_credentials(facts, routes, where)
    yield from _find_unused_keys(facts, described, routes, where)


def _find_literal_problems(facts: ModuleFacts, code: str, where: str) -> Iterator[Problem]:
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):  # another check reports it
        return
    literals = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    names = dict.fromkeys(name for name, value in facts.headers.iter_literals() if value in literals)
    for name in names:
        if _CREDENTIAL_HEADER.search(name):
            command = format_secret_command(facts.chute_name, KEY_VARIABLE)
            yield Problem(
                rule="",
                what=f"the value of {name} looks like a secret, and would be in an image layer that others can read",
                where=where,
                fix=f"write ${{{KEY_VARIABLE}}} in its place, and store the secret with {command}",
                severity="warning",
            )


def _find_variable_problems(facts: ModuleFacts, described: Mapping[str, Any], where: str) -> Iterator[Problem]:
    for variable in facts.headers.variables:
        if variable in described["image"]["env"]:
            yield Problem(
                rule="",
                what=f"{variable} is set in the image, whose layers others can read: its value is not secret",
                where=where,
                fix=f"remove it from the image, and store it with {format_secret_command(facts.chute_name, variable)}",
                severity="warning",
            )
        if is_banned_secret(variable):
            yield Problem(
                rule="secret-name",
                what=f"the platform {'may not accept' if is_exceptable_secret(variable) else 'does not accept'} a secret with "
                f"the name {variable}",
                where=where,
                fix="use another name for the variable",
                severity="warning" if is_exceptable_secret(variable) else "rejected",
                only_on_platform=True,
            )


def _find_missing_credentials(facts: ModuleFacts, routes: tuple[Route, ...], where: str) -> Iterator[Problem]:
    """Yield a note when the service's specification declares credentials, and nothing sends them."""
    open_routes = [route for route in routes if not _has_credentials(facts, route)]
    credentials, suggestion = list_credentials(open_routes), suggest_header(open_routes, ())
    if suggestion is None:
        return
    names = ", ".join(parameter.name for parameter in credentials)
    yield Problem(
        rule="",
        what=f"the service's specification declares credentials ({names}), and the module does not send them: each caller must",
        where=where,
        fix=f"if the service wants them from every caller, add {suggestion.line}, and store the secret with "
        f"{format_secret_command(facts.chute_name, suggestion.variable)}",
        severity="warning",
    )


def _has_credentials(facts: ModuleFacts, route: Route) -> bool:
    """Return whether the module sends one of the credentials that ``route`` declares; alternatives are not known here."""
    sent = {name.lower() for name in facts.headers.select(route.port or facts.service_ports[0], *_list_targets(route))}
    declared = [parameter for parameter in route.parameters if parameter.credential]
    return any(("cookie" if each.place == "cookie" else each.name.lower()) in sent for each in declared)


def _list_targets(route: Route) -> tuple[tuple[str, str], ...]:
    return (route.method, route.path), (route.upstream_method, route.target_path.partition("?")[0])


def _find_unused_keys(
    facts: ModuleFacts, described: Mapping[str, Any], routes: tuple[Route, ...], where: str
) -> Iterator[Problem]:
    """Yield the ports and routes of the headers that the module does not have. A tunnel carries requests to any path."""
    cords = described["cords"]
    targets = {(cord["public_api_method"], cord["public_api_path"]) for cord in cords}
    targets |= {target for route in routes for target in _list_targets(route)}
    has_tunnel = any(cord["public_api_path"] == TUNNEL_PATH for cord in cords)
    keys = [str(port) for port in facts.headers.by_port if port not in facts.service_ports]
    if not has_tunnel:
        keys += [key for key in facts.headers.by_route if not any(matches_key(key, *target) for target in targets)]
    for key in keys:
        yield Problem(
            rule="",
            what=f"{key} is not a port or a route of the module, so its headers are sent with no call",
            where=where,
            fix="use a port of SERVICE_PORTS, or a route such as POST /x, by its public path or the service's",
            severity="warning",
        )
