"""The rules of the platform that the user overruled with ``--allow RULE``, for this process and its child processes."""

from __future__ import annotations

import os
from collections.abc import Iterable

# Commands pass it to the SDK's processes and to the processes that load a module.
VARIABLE = "CHUTES_WRAPPERS_ALLOW"


def overrule(rules: Iterable[str]) -> None:
    """Overrule ``rules`` (names of ``platform_rules.FACTS``) in this process and in those that it starts from now on."""
    os.environ[VARIABLE] = ",".join(sorted({*_read_rules(), *rules}))


def is_overruled(rule: str) -> bool:
    """Return whether the user overruled ``rule``: nothing here may reject anything because of it."""
    return rule in _read_rules()


def _read_rules() -> set[str]:
    return set(filter(None, os.environ.get(VARIABLE, "").split(",")))
