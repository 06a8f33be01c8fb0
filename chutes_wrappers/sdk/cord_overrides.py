"""A module's own cords beside the routes: on a path that both have the module's own answers, wherever it stands in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from chutes_wrappers.runtime.call_shape import Call


def call_of_cord(cord: Any) -> Call:
    """The method and public path that a cord of the SDK is called by."""
    return cord._public_api_method, cord.public_api_path


def withdraw_overridden_routes(chute: Any, routes: Iterable[Any], on_withdrawn: Callable[[Call], None]) -> None:
    """Take the cords ``routes`` back from ``chute`` whose call the module defines a cord for from now on.

    Of two cords on one path the platform takes the first: the route's, where the module registers its routes before.
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
