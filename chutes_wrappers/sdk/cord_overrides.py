"""Cords of a module that override its routes: for the same call the module's cord is used, wherever the file defines it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from chutes_wrappers.runtime.call_shape import Call


def call_of_cord(cord: Any) -> Call:
    """Return the method and public path that a cord of the SDK is called by."""
    return cord._public_api_method, cord.public_api_path


def withdraw_overridden_routes(chute: Any, routes: Iterable[Any], on_withdrawn: Callable[[Call], None]) -> None:
    """Remove a cord of ``routes`` from ``chute`` when the module later defines a cord for the same call.

    ``on_withdrawn`` is called with that call. The platform uses the first of two cords on one path: without the removal
    it would be the route's.
    """
    routes_by_call: dict[Call, list[Any]] = {}
    for route in routes:
        routes_by_call.setdefault(call_of_cord(route), []).append(route)
    define_cord = chute.cord

    def cord(**settings: Any) -> Any:
        module_cord = define_cord(**settings)
        for route_cord in (overridden_routes := routes_by_call.pop(call_of_cord(module_cord), [])):
            chute.cords.remove(route_cord)
        if overridden_routes:
            on_withdrawn(call_of_cord(module_cord))
        return module_cord

    chute.cord = cord
