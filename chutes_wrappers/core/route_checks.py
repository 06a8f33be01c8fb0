"""What a route may not say because every call of it would fail or go astray. Pure.

For routes that people write: it is better heard when a module is loaded than when a caller calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.path_templates import nameless_variable
from chutes_wrappers.core.routes import Route

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
# They belong to the connection, which is the gateway's, not to the call.
_CONNECTION_HEADERS = frozenset({
    "host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade",
    "expect",
})  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_NATIVE = ("parameters", "request", "gradio")
_Problem = tuple[str, str]


def call_problem(route: Route) -> tuple[str, str] | None:
    """The first field of ``route`` because of which calls cannot work, and what is wrong with it; or None."""
    return next((found for check in _CHECKS for found in check(route)), None)


def header_problem(name: str) -> str | None:
    """Why no parameter can be sent as a header of this name, or None."""
    if not _HEADER_NAME.fullmatch(name):
        return f"{name!r} is no name of a header: letters, digits and dashes"
    if name.lower() in _CONNECTION_HEADERS:
        return f"{name} belongs to the connection, in which callers have no part: leave it out"
    return None


def _of_port(route: Route) -> Iterator[_Problem]:
    if route.port and (reserved := platform_rules.reserved_port_problem(route.port)):
        yield "port", f"{reserved}; let the service listen on another one, and name that"


def _of_target(route: Route) -> Iterator[_Problem]:
    nameless = None if route.gradio else nameless_variable(route.target_path)
    if nameless:
        named = f"{nameless} in {route.target_path!r} has no name that a caller could give it by"
        yield "target_path", f"{named}: name it, or write %7B and %7D for the braces themselves"


def _of_parameters(route: Route) -> Iterator[_Problem]:
    for index, parameter in enumerate(route.parameters):
        if parameter.place == "header" and (problem := header_problem(parameter.name)):
            yield f"parameters[{index}].name", problem


def _of_request(route: Route) -> Iterator[_Problem]:
    request = route.request
    if request is None:
        return
    if _CONTROL.search(request.content_type):
        yield "request.content_type", f"{request.content_type!r} is no media type: it holds control characters"
    if request.files is not None and request.encoding != "multipart":
        yield "request.files", f'a body that travels as {request.encoding} has no files: say "encoding": "multipart"'


def _of_native(route: Route) -> Iterator[_Problem]:
    if route.native:
        given = (name for name in _NOT_NATIVE if getattr(route, name))
        yield from (
            (name, 'the SDK\'s own passthrough knows nothing of it: leave it or "native" out') for name in given
        )


_CHECKS: tuple[Callable[[Route], Iterator[_Problem]], ...] = (
    _of_port, _of_target, _of_parameters, _of_request, _of_native,
)  # fmt: skip
