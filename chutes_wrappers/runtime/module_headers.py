"""The headers of a module on an instance: ``CHUTE_HEADERS`` with the instance's variables, over the chute's own."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.module_headers import (
    HEADERS_VARIABLE,
    ModuleHeaders,
    add_default_headers,
    format_secret_command,
    matches_target,
    read_module_headers,
)
from chutes_wrappers.core.route_checks import find_header_problem
from chutes_wrappers.runtime.upstream import UpstreamRequest

Target = tuple[str, str]  # method and path
SelectHeaders = Callable[[], Mapping[str, str]]
_NO_HEADERS: Mapping[str, str] = {}


class ServiceHeaders:
    """The headers that the services of one chute get. ``read_chute_headers`` returns the chute's own, which may change.

    A module's headers override the chute's of the same name. The variables are read once, at the first use.
    """

    def __init__(
        self,
        headers: ModuleHeaders | None = None,
        read_chute_headers: Callable[[], Mapping[str, Any]] = dict,
        *,
        chute_name: str = "",
    ) -> None:
        self._headers = headers or ModuleHeaders()
        self._read_chute_headers = read_chute_headers
        self._chute_name = chute_name
        self._resolved: ModuleHeaders | None = None
        self._names: dict[Target, list[tuple[Target, ...]]] = {}

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables that the headers refer to."""
        return self._headers.variables

    def resolve(self) -> ModuleHeaders:
        """Return the module's headers with the instance's variables. Raises ConfigurationError with the names of unset ones."""
        if self._resolved is None:
            if unset := self._headers.find_unset(os.environ):
                raise ConfigurationError(
                    f"{', '.join(unset)} {'is' if len(unset) == 1 else 'are'} not set in the instance's environment",
                    where=HEADERS_VARIABLE,
                    next_step=f"store it with {format_secret_command(self._chute_name, unset[0])}, and start another instance",
                )
            self._resolved = self._headers.resolve(os.environ)
        return self._resolved

    def select(self, port: int, *targets: Target) -> Mapping[str, str]:
        """Return the headers of a request to ``port`` that has the method and path of any of ``targets``.

        Raises ConfigurationError for an unset variable.
        """
        selected = self.select_of_module(port, *targets)
        chute_headers = self._read_chute_headers()
        return add_default_headers(selected, _clean(chute_headers)) if chute_headers else selected

    def add_names(self, service_target: Target, names: Iterable[Target]) -> None:
        """Remember the names of a route that calls the service at ``service_target``, for requests that come without a route."""
        self._names.setdefault(service_target, []).append(tuple(names))

    def select_for_request(self, port: int, method: str, path: str, route: str = "") -> Mapping[str, str]:
        """Return the headers of a request to a service, for ``route`` (``METHOD /path``); without it, for each that would send it."""
        routes = [
            names for target, routes in self._names.items() if matches_target(target, method, path) for names in routes
        ]
        if route:
            public_method, _, public_path = route.partition(" ")
            own = public_method, public_path
            routes = [names for names in routes if own in names] or [(own,)]
        return self.select(port, (method, path), *(name for names in routes for name in names))

    def complete(
        self, headers: Mapping[str, str], port: int, method: str, path: str, route: str = ""
    ) -> dict[str, str]:
        """Return the ``headers`` of such a request with those that it does not have itself."""
        return add_default_headers(headers, self.select_for_request(port, method, path, route))

    def __bool__(self) -> bool:
        """Return whether the module has any; the chute may have some nevertheless."""
        return bool(self._headers)

    def has_headers_of(self, module: Mapping[str, Any]) -> bool:
        """Return whether the module with these globals has the same ``CHUTE_HEADERS``."""
        return read_module_headers(module) == self._headers

    def list_names(self, port: int, *targets: Target) -> tuple[str, ...]:
        """Return the names of the module's headers of a request."""
        return tuple(self._headers.select(port, *targets))

    def select_of_module(self, port: int, *targets: Target) -> Mapping[str, str]:
        """Return the same without the chute's own headers. Raises ConfigurationError for an unset variable."""
        return self.resolve().select(port, *targets) if self._headers else _NO_HEADERS


def add_headers(request: UpstreamRequest, defaults: Mapping[str, str]) -> UpstreamRequest:
    """Return ``request`` with those of ``defaults`` that it does not have itself."""
    return replace(request, headers=add_default_headers(request.headers, defaults)) if defaults else request


def read_service_headers(module: Mapping[str, Any], chute: Any = None) -> ServiceHeaders:
    """Return the headers of the module with these globals, and of ``chute``, by default the one that it defines.

    Raises ConfigurationError for an invalid ``CHUTE_HEADERS``. The chute is looked up when its headers are needed: a
    module may define it later.
    """
    reference = weakref.ref(chute) if chute is not None else None

    def read_chute_headers() -> Mapping[str, Any]:
        owners = [reference()] if reference is not None else [_unpack(value) for value in module.values()]
        all_headers = (getattr(owner, "passthrough_headers", None) for owner in owners)
        return next((headers for headers in all_headers if isinstance(headers, Mapping) and headers), _NO_HEADERS)

    name = getattr(chute, "name", None) or module.get("CHUTE_NAME") or ""
    return ServiceHeaders(read_module_headers(module), read_chute_headers, chute_name=str(name))


def _unpack(value: Any) -> Any:
    """Return the chute in a value of a module, which may be a chute or a package of the SDK's templates; else None."""
    is_from_sdk = any(each.__module__.startswith("chutes.") for each in type(value).__mro__)
    return getattr(value, "chute", value) if is_from_sdk else None


def _clean(headers: Mapping[str, Any]) -> dict[str, str]:
    """Return a chute's headers as texts, without those of the connection and of the body, which each request has itself."""
    texts = {str(name): str(value) for name, value in headers.items() if value is not None}
    return {name: value for name, value in texts.items() if name.lower() == "host" or _is_for_service(name)}


def _is_for_service(name: str) -> bool:
    return name.lower() != "content-type" and find_header_problem(name) is None
