"""Cords of a module that override those of its routes: for the same call the module's own cord is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from chutes_wrappers.runtime.call_shape import Call


def call_of_cord(cord: Any) -> Call:
    """Return the method and public path that a cord of the SDK is called by."""
    return cord._public_api_method, cord.public_api_path


def remove_overridden_cords(chute: Any, route_cords: Iterable[Any], on_removed: Callable[[Call], None]) -> None:
    """Remove one of ``route_cords`` from ``chute`` when the module later defines a cord for the same call.

    ``on_removed`` is called with the method and path. The platform uses the first of two cords on one path. Without the
    removal it would be the route's.
    """
    cords_by_call: dict[Call, list[Any]] = {}
    for route_cord in route_cords:
        cords_by_call.setdefault(call_of_cord(route_cord), []).append(route_cord)
    define_cord = chute.cord

    def cord(**settings: Any) -> Any:
        module_cord = define_cord(**settings)
        overridden = cords_by_call.pop(call_of_cord(module_cord), [])
        for route_cord in overridden:
            chute.cords.remove(route_cord)
        if overridden:
            on_removed(call_of_cord(module_cord))
        return module_cord

    chute.cord = cord
