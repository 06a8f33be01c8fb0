"""Checks for route settings with which every call would fail or be routed wrongly. Pure.

They are for routes that users write: an error when the module is loaded is better than an error in each call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from chutes_wrappers.core import platform_checks
from chutes_wrappers.core.overruled_rules import is_overruled
from chutes_wrappers.core.path_templates import find_template_problem
from chutes_wrappers.core.routes import Route

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
# Headers of the gateway's connection, not of the call.
_CONNECTION_HEADERS = frozenset({
    "host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade",
    "expect",
})  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_NATIVE = ("parameters", "request", "gradio")
_Problem = tuple[str, str]


def find_call_problem(route: Route) -> tuple[str, str] | None:
    """Return the first field of ``route`` that makes calls fail, and what is wrong with it; or None."""
    return next((problem for find in _CHECKS for problem in find(route)), None)


def find_header_problem(name: str) -> str | None:
    """Return why no parameter can be sent as a header of this name, or None."""
    if not _HEADER_NAME.fullmatch(name):
        return f"{name!r} is not a valid header name: use letters, digits and dashes"
    if name.lower() in _CONNECTION_HEADERS:
        return f"{name} is a header of the connection, which callers cannot set: remove it"
    return None


def find_cookie_problem(name: str) -> str | None:
    """Return why no parameter can be sent as a cookie of this name, or None (RFC 6265, section 4.1.1)."""
    return (
        None
        if _HEADER_NAME.fullmatch(name)
        else f"{name!r} is not a valid name of a cookie: use letters, digits and dashes"
    )


def _find_port_problems(route: Route) -> Iterator[_Problem]:
    reserved = platform_checks.find_reserved_port_problem(route.port) if route.port else None
    if reserved and not is_overruled("service-port", reserved):
        yield "port", f"{reserved}; let the service listen on another port, and use that"


def _find_target_problems(route: Route) -> Iterator[_Problem]:
    declared = {parameter.name for parameter in route.parameters if parameter.place == "path"}
    problem = None if route.gradio else find_template_problem(route.target_path, declared)
    if problem:
        yield "target_path", problem


def _find_parameter_problems(route: Route) -> Iterator[_Problem]:
    for index, parameter in enumerate(route.parameters):
        find = _NAME_CHECKS.get(parameter.place)
        if find and (problem := find(parameter.name)):
            yield f"parameters[{index}].name", problem
        if _CONTROL.search(parameter.content_type):
            yield f"parameters[{index}].content_type", _format_media_type_problem(parameter.content_type)


def _find_request_problems(route: Route) -> Iterator[_Problem]:
    request = route.request
    if request is None:
        return
    if _CONTROL.search(request.content_type):
        yield "request.content_type", _format_media_type_problem(request.content_type)
    if request.files is not None and request.encoding != "multipart":
        yield "request.files", f'a body with encoding {request.encoding} has no files: use "encoding": "multipart"'

    if request.parts and request.encoding not in ("form", "multipart"):
        yield "request.parts", f'a body with encoding {request.encoding} has no fields: use "form" or "multipart"'
    for name, part in request.parts.items():
        if _CONTROL.search(part.content_type):
            yield f"request.parts.{name}.content_type", _format_media_type_problem(part.content_type)
        for header, value in part.headers.items():
            if not _HEADER_NAME.fullmatch(header) or _CONTROL.search(value):
                yield f"request.parts.{name}.headers", f"{header!r} is not a valid header, or its value is not"


def _format_media_type_problem(content_type: str) -> str:
    return f"{content_type!r} is not a valid media type: it contains control characters"


def _find_native_problems(route: Route) -> Iterator[_Problem]:
    if route.native:
        fields = (name for name in _NOT_NATIVE if getattr(route, name))
        yield from ((name, 'the SDK\'s passthrough does not support it: remove it or "native"') for name in fields)


_NAME_CHECKS: dict[str, Callable[[str], str | None]] = {"header": find_header_problem, "cookie": find_cookie_problem}
_CHECKS: tuple[Callable[[Route], Iterator[_Problem]], ...] = (
    _find_port_problems, _find_target_problems, _find_parameter_problems, _find_request_problems, _find_native_problems,
)  # fmt: skip
