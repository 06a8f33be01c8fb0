"""GPUs that a chute can ask for, and what they cost an hour.

The platform's own list and prices change by the day and cannot be seen from here: these are round numbers of the same order,
so that fees have a size. Never take them for a quote.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from chutes_wrappers.core import platform_rules


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A kind of GPU: gigabytes of memory, and dollars an hour."""

    name: str
    memory_gb: int
    hourly_price: float


GPUS = (
    Gpu(name="a4000", memory_gb=16, hourly_price=0.10),
    Gpu(name="3090", memory_gb=24, hourly_price=0.15),
    Gpu(name="4090", memory_gb=24, hourly_price=0.30),
    Gpu(name="5090", memory_gb=32, hourly_price=0.45),
    Gpu(name="a6000", memory_gb=48, hourly_price=0.40),
    Gpu(name="l40s", memory_gb=48, hourly_price=0.60),
    Gpu(name="a100", memory_gb=80, hourly_price=0.90),
    Gpu(name="h100", memory_gb=80, hourly_price=1.50),
    Gpu(name="h200", memory_gb=140, hourly_price=2.00),
)


def suitable(
    min_memory_gb: int,
    max_hourly_price: float | None = None,
    include: Collection[str] | None = None,
    exclude: Collection[str] | None = None,
) -> list[Gpu]:
    """The GPUs that a node selector allows, the cheapest first."""
    allowed = {name.lower() for name in include} if include else None
    forbidden = {name.lower() for name in exclude or ()}
    fitting = (
        gpu
        for gpu in GPUS
        if gpu.memory_gb >= min_memory_gb
        and gpu.name not in forbidden
        and (allowed is None or gpu.name in allowed)
        and (max_hourly_price is None or gpu.hourly_price <= max_hourly_price)
    )
    return sorted(fitting, key=lambda gpu: gpu.hourly_price)


def first_deployment_fee(hourly_price: float, gpu_count: int) -> float:
    """What the first deployment of a chute costs, in dollars (api, section 4)."""
    return round(platform_rules.FIRST_DEPLOYMENT_HOURS * hourly_price * gpu_count, 2)
