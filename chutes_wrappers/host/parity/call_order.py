"""The order of the calls of a parity check, and which of them may run at the same time. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence

from chutes_wrappers.core.cord_plan import PlannedCord

# Words in the last segment of a path that ends or restarts a service, or makes it unable to respond.
_ENDING_WORDS = frozenset(
    {"abort", "crash", "die", "exit", "halt", "kill", "panic", "poweroff", "quit", "reboot", "reload", "reset"}
    | {"restart", "selfdestruct", "shutdown", "sigterm", "stop", "suicide", "terminate", "unload", "offload"}
    | {"decommission", "killall", "teardown", "sleep", "suspend", "hibernate"}
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_SAFE_METHODS = ("GET", "HEAD")


def may_end_service(path: str) -> bool:
    """Return whether ``path`` is named like one whose call ends its service: ``/server_kill``, ``/admin/shutDown``."""
    words = [word.lower() for word in _WORD.findall(path)]
    pairs = [first + second for first, second in itertools.pairwise(words)]
    return not _ENDING_WORDS.isdisjoint([*words, *pairs])


def sort_by_need(
    cords: Sequence[PlannedCord], find_needed: Callable[[PlannedCord], Iterable[str]]
) -> list[PlannedCord]:
    """Return ``cords`` in their order, but each after those that it needs, by name, and those that may end the service last.

    In a circle one comes before what it needs.
    """
    by_name: dict[str, list[PlannedCord]] = {}
    for cord in cords:
        by_name.setdefault(cord.name, []).append(cord)
    ordered: dict[int, PlannedCord] = {}
    visited: set[int] = set()

    def add(cord: PlannedCord) -> None:
        if id(cord) in visited:
            return
        visited.add(id(cord))
        for name in sorted(find_needed(cord)):
            for other in by_name.get(name, ()):
                add(other)
        ordered[id(cord)] = cord

    for cord in sorted(cords, key=lambda each: may_end_service(each.route.target_path)):
        add(cord)
    return [*ordered.values()]


def may_run_beside_others(cord: PlannedCord) -> bool:
    """Return whether a call only reads, and is not streamed: it may run at the same time as others."""
    return (
        cord.route.upstream_method in _SAFE_METHODS
        and not cord.stream
        and cord.route.gradio is None
        and not may_end_service(cord.route.target_path)
    )
