"""Problems of a module's ``CHUTE_HEADERS``: secrets in it, variables that are no secrets, and credentials that it lacks. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chutes_wrappers.core.module_headers import HEADERS_VARIABLE, format_secret_command
from chutes_wrappers.core.platform_checks import is_banned_secret, is_exceptable_secret
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.discovery.credentials import KEY_VARIABLE, list_credentials, suggest_header
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.preflight.problem import Problem

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
    yield from _find_missing_credentials(facts, tuple(routes), where)


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
    credentials = list_credentials(routes)
    suggestion = suggest_header(routes, ())
    if facts.headers or not credentials or suggestion is None:
        return
    names = ", ".join(parameter.name for parameter in credentials)
    yield Problem(
        rule="",
        what=f"the service's specification declares credentials ({names}), and the module sends none: each caller must send them",
        where=where,
        fix=f"if the service wants them from every caller, add {suggestion.line}, and store the secret with "
        f"{format_secret_command(facts.chute_name, suggestion.variable)}",
        severity="warning",
    )
