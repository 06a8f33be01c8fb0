"""What a service that refuses requests without credentials wants, and the ``CHUTE_HEADERS`` that send it. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chutes_wrappers.core.module_headers import HEADERS_VARIABLE
from chutes_wrappers.core.path_templates import VARIABLE
from chutes_wrappers.core.routes import Parameter, Route

REFUSED_STATUSES = frozenset({401, 403})
KEY_VARIABLE = "SERVICE_KEY"
_AUTHORIZATION = "Authorization"
_VALUES = {
    "basic": ("Basic ${%s}", "the base64 of USER:PASSWORD"),
    "bearer": ("Bearer ${%s}", "the key of the service"),
}


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A request without credentials that a service refused. ``challenge`` is its WWW-Authenticate header, or empty."""

    port: int
    path: str
    status: int
    challenge: str = ""

    def __str__(self) -> str:
        return f"port {self.port}: GET {self.path} returns {self.status}"


@dataclass(frozen=True, kw_only=True)
class HeaderSuggestion:
    """A header for ``CHUTE_HEADERS``, with the variable in its value, and what that must contain."""

    name: str
    value: str
    variable: str
    meaning: str

    @property
    def line(self) -> str:
        """The line of a module that sets the header."""
        return f"{HEADERS_VARIABLE} = {{{json.dumps(self.name)}: {json.dumps(self.value)}}}"


def select_secured_path(routes: Iterable[Route]) -> str | None:
    """Return the path of a GET route that declares credentials and needs nothing else; None without one."""
    for route in routes:
        is_plain = route.upstream_method == "GET" and not route.stream and not VARIABLE.search(route.target_path)
        credentials = [parameter for parameter in route.parameters if parameter.credential]
        if is_plain and credentials and not any(parameter.required for parameter in route.parameters):
            return route.target_path
    return None


def suggest_header(
    routes: Iterable[Route], refusals: Sequence[Refusal], variable: str = KEY_VARIABLE
) -> HeaderSuggestion | None:
    """Return the header that most of ``routes`` declare as a credential, else the one that a challenge names.

    None if neither does: a key in the query string can only come from the caller.
    """
    challenges = " ".join(refusal.challenge for refusal in refusals).lower()
    declared = Counter(
        (parameter.place, parameter.name) for route in routes for parameter in route.parameters if parameter.credential
    )
    for (place, name), _ in declared.most_common():
        if place == "cookie":
            return HeaderSuggestion(
                name="Cookie",
                value=f"{name}=${{{variable}}}",
                variable=variable,
                meaning=f"the value of the cookie {name}",
            )
        if place == "header" and name.lower() != _AUTHORIZATION.lower():
            return HeaderSuggestion(
                name=name, value=f"${{{variable}}}", variable=variable, meaning="the key of the service"
            )
        if place == "header":
            return _suggest_authorization(challenges or "bearer", variable)
    return _suggest_authorization(challenges, variable)


def _suggest_authorization(challenges: str, variable: str) -> HeaderSuggestion | None:
    scheme = next((scheme for scheme in ("bearer", "basic") if scheme in challenges), None)
    if scheme is None:
        return None
    value, meaning = _VALUES[scheme]
    return HeaderSuggestion(name=_AUTHORIZATION, value=value % variable, variable=variable, meaning=meaning)


def list_credentials(routes: Iterable[Route]) -> tuple[Parameter, ...]:
    """Return the credentials that ``routes`` declare, each place and name once."""
    declared = {
        (parameter.place, parameter.name.lower()): parameter
        for route in routes
        for parameter in route.parameters
        if parameter.credential
    }
    return tuple(declared.values())
