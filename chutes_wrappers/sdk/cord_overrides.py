"""A module's own cords beside the routes: on a path that both have the module's own answers, wherever it stands in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from chutes_wrappers.runtime.call_shape import Call


def call_of(cord: Any) -> Call:
    """The method and public path that a cord of the SDK is called by."""
    return cord._public_api_method, cord.public_api_path


def give_way(chute: Any, routes: Iterable[Any], on_withdrawn: Callable[[Call], None]) -> None:
    """Take the cords ``routes`` back from ``chute`` whose call the module defines a cord for from now on.

    Of two cords on one path the platform takes the first: the route's, where the module registers its routes before.
    """
    withdrawable: dict[Call, list[Any]] = {}
    for route in routes:
        withdrawable.setdefault(call_of(route), []).append(route)
    define = chute.cord

    def cord(**settings: Any) -> Any:
        own = define(**settings)
        for rival in (rivals := withdrawable.pop(call_of(own), [])):
            chute.cords.remove(rival)
        if rivals:
            on_withdrawn(call_of(own))
        return own

    chute.cord = cord
