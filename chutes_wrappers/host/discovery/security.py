"""Credentials of an operation: the parameters that its security schemes stand for, of Swagger 2.0 and OpenAPI 3. Pure.

The caller's key is the scheme's ``name``, or ``Authorization`` with the whole value of that header.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.routes import Parameter
from chutes_wrappers.host.discovery.operation_parameters import DeclaredParameter, find_name_problem
from chutes_wrappers.host.discovery.references import look_up, resolve_node

AUTHORIZATION = "Authorization"
_MAX_REQUIREMENTS = 100
_MAX_REFERENCES = 10
_MAX_DESCRIPTION_LENGTH = 300
_AUTHORIZATION_VALUES = {"basic": "Basic and the base64 of user:password", "bearer": "Bearer and the token"}
# The client computes the value from a challenge of the service (the registry of HTTP Authentication Schemes).
_CHALLENGE_SCHEMES = frozenset(
    {"digest", "hoba", "mutual", "negotiate", "scram-sha-1", "scram-sha-256", "vapid", "dpop"}
)


class SecurityReader:
    """The security schemes of one document; each is read once.

    Documents often declare schemes, and forget to require them. So without ``security`` in the document and in all of its
    ``operations``, every operation may need any of them.
    """

    def __init__(self, document: Mapping[str, Any], operations: Iterable[Mapping[str, Any]]) -> None:
        self._document = document
        self._schemes = _collect_schemes(document)
        requirements = [node["security"] for node in (document, *operations) if "security" in node]
        self._default = document.get("security", []) if requirements else [{name: []} for name in self._schemes]
        names = {name for node in (*requirements, self._default) for name in _read_names(node)[0]}
        self._used = {target for name in names for target in self._iterate_names(name)}
        self._results: dict[str, tuple[DeclaredParameter | None, str | None]] = {}

    def read_credentials(self, operation: Mapping[str, Any]) -> tuple[list[DeclaredParameter], list[str]]:
        """Return the credentials of all alternatives that ``operation`` declares, and the problems of its schemes.

        None is required: with ``{}`` the call needs none, and the module's headers may contain it.
        """
        names, problems = _read_names(operation.get("security", self._default))
        credentials: dict[tuple[str, str], DeclaredParameter] = {}
        for name in names:
            if name not in self._results:
                self._results[name] = self._read_scheme(name)
            credential, problem = self._results[name]
            if problem:
                problems.append(f"security scheme `{name[:100]}` {problem}")
            if credential:
                _add_credential(credentials, credential)
        return list(credentials.values()), problems

    def describe_unused(self) -> list[str]:
        """Return a note on each scheme that the document declares and no operation requires."""
        notes = []
        for name in self._schemes:
            if name not in self._used:
                credential, problem = self._read_scheme(name)
                place = f" ({_describe_place(credential)})" if credential else ""
                advice = "; CHUTE_HEADERS can set it" if credential and credential.parameter.place != "query" else ""
                reason = problem or f"left out: no operation requires it{advice}"
                notes.append(f"security scheme `{name[:100]}`{place} {reason}")
        return notes

    def _read_scheme(self, name: str) -> tuple[DeclaredParameter | None, str | None]:
        """Return the credential of a scheme, and what cannot be carried of it, as the rest of a sentence."""
        try:
            return _read_scheme(resolve_node(self._document, self._find_node(name), "it"))
        except WrapperError as error:
            return None, f"left out: {error.what}"

    def _iterate_names(self, name: str) -> Iterator[str]:
        """Yield the names of the schemes that a requirement needs: its own, and those to which a reference leads."""
        for _ in range(_MAX_REFERENCES):
            yield name
            node = {"$ref": name} if "#" in name else self._schemes.get(name)
            reference = node.get("$ref") if isinstance(node, Mapping) else None
            if not isinstance(reference, str):
                return
            name = reference.rpartition("/")[2]

    def _find_node(self, name: str) -> Any:
        if name in self._schemes:
            return self._schemes[name]
        if "#" in name:  # OpenAPI 3.2: a requirement may be the URI of a scheme
            return look_up(self._document, name)
        raise WrapperError("it is not declared")


def merge_credentials(
    parameters: Iterable[DeclaredParameter], credentials: Iterable[DeclaredParameter]
) -> list[DeclaredParameter]:
    """Return ``parameters`` and ``credentials``, each once. A parameter that is a credential has the scheme's name."""
    merged = {_build_key(declared.parameter): declared for declared in parameters}
    for credential in credentials:
        key = _build_key(credential.parameter)
        known = merged.get(key)
        update = {"name": credential.parameter.name, "credential": True, "required": False}
        merged[key] = (
            DeclaredParameter(parameter=known.parameter.model_copy(update=update), schema=known.schema)
            if known
            else credential
        )
    return list(merged.values())


def _build_key(parameter: Parameter) -> tuple[str, str]:
    """Return the identity of a parameter: names of headers have no case."""
    return parameter.place, parameter.name.lower() if parameter.place == "header" else parameter.name


def _collect_schemes(document: Mapping[str, Any]) -> Mapping[str, Any]:
    components = document.get("components")
    schemes = components.get("securitySchemes") if isinstance(components, Mapping) else None
    schemes = schemes if isinstance(schemes, Mapping) else document.get("securityDefinitions")
    return schemes if isinstance(schemes, Mapping) else {}


def _read_names(requirements: Any) -> tuple[list[str], list[str]]:
    """Return the names of the schemes in ``security``, each once, and what of it is not valid."""
    if not isinstance(requirements, list):
        return [], ["`security` left out: it is not a list"]
    items = [item for item in requirements[:_MAX_REQUIREMENTS] if isinstance(item, Mapping)]
    problems = (
        ["a security requirement left out: it is not an object, or one of too many"]
        if len(items) < len(requirements)
        else []
    )
    return list(dict.fromkeys(name for item in items for name in item)), problems


def _add_credential(credentials: dict[tuple[str, str], DeclaredParameter], credential: DeclaredParameter) -> None:
    """Add a credential. Of several in the same place, the description names every form of the value."""
    known = credentials.setdefault(_build_key(credential.parameter), credential)
    text, more = known.schema["description"], credential.schema["description"]
    if more not in text and len(text) + len(more) <= _MAX_DESCRIPTION_LENGTH:
        schema = {**known.schema, "description": f"{text} Or: {more}"}
        credentials[_build_key(credential.parameter)] = DeclaredParameter(parameter=known.parameter, schema=schema)


def _read_scheme(node: Mapping[str, Any]) -> tuple[DeclaredParameter | None, str | None]:
    kind = node.get("type")
    if kind == "apiKey":
        return _read_api_key(node)
    if kind == "http":
        return _read_http_scheme(node)
    if kind == "basic":  # Swagger 2.0
        return _build_authorization(_AUTHORIZATION_VALUES["basic"]), None
    if kind in ("oauth2", "openIdConnect"):
        return _build_authorization(_AUTHORIZATION_VALUES["bearer"]), None
    if kind == "mutualTLS":
        return None, "left out: the platform ends TLS, so no client certificate reaches the service"
    return None, f"left out: its type {str(kind)[:100]!r} is unknown"


def _read_api_key(node: Mapping[str, Any]) -> tuple[DeclaredParameter | None, str | None]:
    name, place = node.get("name"), node.get("in")
    if not isinstance(name, str) or not name:
        return None, "left out: it has no `name`"
    if place not in ("header", "query", "cookie"):
        return None, f"left out: {str(place)[:100]!r} is not a place of an API key"
    if problem := find_name_problem(name, place):
        return None, f"left out: {problem}"
    return _build_credential(name, place, _get_description(node) or "An API key."), None


def _read_http_scheme(node: Mapping[str, Any]) -> tuple[DeclaredParameter | None, str | None]:
    scheme = node.get("scheme")
    if not isinstance(scheme, str) or not scheme:
        return None, "left out: it has no `scheme`"
    value = _AUTHORIZATION_VALUES.get(scheme.lower(), f"{scheme[:50]} and the credentials")
    is_challenge = scheme.lower() in _CHALLENGE_SCHEMES
    problem = (
        f"is {scheme[:50]}: callers must compute the value of Authorization for each call" if is_challenge else None
    )
    return _build_authorization(value), problem


def _build_authorization(value: str) -> DeclaredParameter:
    return _build_credential(AUTHORIZATION, "header", f"The whole value: {value}.")


def _build_credential(name: str, place: str, description: str) -> DeclaredParameter:
    parameter = Parameter.model_validate({"name": name, "in": place, "credential": True})
    return DeclaredParameter(parameter=parameter, schema={"type": "string", "description": description})


def _get_description(node: Mapping[str, Any]) -> str:
    description = node.get("description")
    return description[:_MAX_DESCRIPTION_LENGTH] if isinstance(description, str) else ""


def _describe_place(credential: DeclaredParameter) -> str:
    return f"{credential.parameter.place} {credential.parameter.name}"
