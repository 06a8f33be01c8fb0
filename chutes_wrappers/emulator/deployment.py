"""What a module defines → the record of its deployment. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from chutes_wrappers.core import platform_rules
from chutes_wrappers.emulator.records import ChuteRecord, CordRecord

_CORD_FIELDS = frozenset(field.name for field in fields(CordRecord))


def chute_record(
    described: Mapping[str, Any], *, name: str, username: str, module: str, code: str, image: str | None
) -> ChuteRecord:
    """The deployment of what ``sdk/describe.py`` says of ``module``, whose source is ``code``; ``image`` as in ChuteRecord."""
    return ChuteRecord(
        chute_id=hashlib.sha256(f"{username}/{name}".encode()).hexdigest()[:32],
        version=hashlib.sha256(code.encode()).hexdigest()[:32],
        name=name,
        slug=platform_rules.slug(username, name),
        username=username,
        filename=f"{module}.py",
        reference=f"{module}:chute",
        code=code,
        image=image,
        cords=tuple(_cord(cord) for cord in described["cords"]),
        concurrency=described["concurrency"],
        max_instances=described["max_instances"],
        scaling_threshold=described["scaling_threshold"],
        shutdown_after_s=described["shutdown_after_seconds"],
        allow_external_egress=described["allow_external_egress"],
    )


def _cord(described: Mapping[str, Any]) -> CordRecord:
    return CordRecord(**{name: value for name, value in described.items() if name in _CORD_FIELDS})
