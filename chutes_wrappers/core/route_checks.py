"""What a route may not say because every call of it would fail or go astray. Pure.

For routes that people write: it is better heard when a module is loaded than when a caller calls.
"""

from __future__ import annotations

from collections.abc import Callable

from chutes_wrappers.core.path_templates import nameless_variable
from chutes_wrappers.core.routes import Route


def call_problem(route: Route) -> str | None:
    """Why calls of ``route`` cannot work, with the field and the fix, or None."""
    return next((problem for check in _CHECKS if (problem := check(route))), None)


def _target_problem(route: Route) -> str | None:
    nameless = None if route.gradio else nameless_variable(route.target_path)
    if nameless is None:
        return None
    return (
        f"`target_path` = {route.target_path!r}: {nameless} has no name that a caller could give it by; name it, or write "
        "%7B and %7D for the braces themselves"
    )


_CHECKS: tuple[Callable[[Route], str | None], ...] = (_target_problem,)
