"""A problem of a module: the platform would reject it, or it would not work there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from chutes_wrappers.core import platform_rules

Severity = Literal["rejected", "warning"]
_POSITIONS = {rule: position for position, group in enumerate(platform_rules.CHECK_ORDER) for rule in group}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """``what`` is wrong, ``where`` (file, variable, cord), and the ``fix``. None of them contains a secret.

    ``rule`` is the name of the violated rule in ``platform_rules.FACTS``; empty for what ``--allow`` cannot overrule.
    "rejected": the platform would reject the module, or the chute could never start. "warning": it accepts the module, but
    a part would not work, or others could see it. ``only_on_platform``: commands that need no platform continue.
    """

    rule: str
    what: str
    where: str
    fix: str
    severity: Severity = "rejected"
    only_on_platform: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def sort_problems(problems: Iterable[Problem]) -> list[Problem]:
    """Return ``problems`` in the order in which the API would report them. Those that are not the API's come last."""
    return sorted(problems, key=lambda problem: _POSITIONS.get(problem.rule, len(_POSITIONS)))
