"""Bases of an image that only one of the platform's two forges builds on (PLATFORM.md, section 1). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chutes_wrappers.core.base_images import list_refused_targets
from chutes_wrappers.host.preflight.problem import Problem


def find_base_problems(described: Mapping[str, Any], file: str) -> Iterator[Problem]:
    """Yield a warning when the newer forge would refuse the image of a module (``sdk/describe.py``) after its upload."""
    if refused := list_refused_targets(described["image"]["bases"]):
        yield Problem(
            rule="forge-base",
            what=f"the newer builder of the platform takes only parachutes/* as base, not {', '.join(refused)}. Which one "
            "is in use cannot be seen from here: if it is the newer one, the image ends in 'error: …' after the upload",
            where=file,
            fix="build directly all the same, or see Two builders in the README for the platform's own base",
            severity="warning",
        )
