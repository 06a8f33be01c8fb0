"""The loopback server of a chute, the target of its stream cords' passthrough."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from chutes.chute import Chute
from chutes.util.context import is_remote

from chutes_wrappers.runtime.disconnects import DisconnectMiddleware
from chutes_wrappers.runtime.loopback import LoopbackServer

# Before the module's own hooks, whose default priority is 50.
_PRIORITY = 5
_servers: WeakKeyDictionary[Any, LoopbackServer] = WeakKeyDictionary()


def get_loopback_server(chute: Chute) -> LoopbackServer | None:
    """Return the one server of ``chute``, started by a start-up hook; None on the machine that only deploys it."""
    if not is_remote():
        return None
    if chute not in _servers:
        _servers[chute] = server = LoopbackServer(own_headers=_build_header_reader(chute))
        chute.add_middleware(DisconnectMiddleware)

        @chute.on_startup(priority=_PRIORITY)  # type: ignore[untyped-decorator]  # the SDK has no types
        async def serve(self: Any) -> None:
            await server.start()

    return _servers[chute]


def _build_header_reader(chute: Chute) -> Callable[[], Mapping[str, str]]:
    """Return a function that reads the chute's headers, which a start-up hook may set later.

    The reference is weak: the server must not keep the chute alive.
    """
    chute_reference = weakref.ref(chute)

    def read_headers() -> Mapping[str, str]:
        return getattr(chute_reference(), "passthrough_headers", None) or {}

    return read_headers
