"""The loopback server of a chute, which its stream cords are passthroughs to."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from chutes.chute import Chute
from chutes.util.context import is_remote

from chutes_wrappers.runtime.disconnects import LastingDisconnects
from chutes_wrappers.runtime.loopback import LoopbackServer

# Before a module's own hooks, whose priority is 50 unless they say otherwise.
_PRIORITY = 5
_servers: WeakKeyDictionary[Any, LoopbackServer] = WeakKeyDictionary()


def loopback_of(chute: Chute) -> LoopbackServer | None:
    """The one server of ``chute``, which its start-up starts; None on the machine that only deploys it."""
    if not is_remote():
        return None
    if chute not in _servers:
        _servers[chute] = server = LoopbackServer()
        chute.add_middleware(LastingDisconnects)

        @chute.on_startup(priority=_PRIORITY)  # type: ignore[untyped-decorator]  # the SDK has no types
        async def serve(self: Any) -> None:
            await server.start()

    return _servers[chute]
