"""One thing about a module that the platform would not take, or that would not work there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["refused", "warning"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """``what`` is wrong and ``where`` (file, variable, cord), and the ``fix``. None of them holds a secret.

    "refused": the platform would not take the module, or the chute could never start. "warning": it takes it, and something
    of it would not work, or be seen by others. ``only_on_platform``: commands that need no platform go on with it.
    """

    what: str
    where: str
    fix: str
    severity: Severity = "refused"
    only_on_platform: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"
