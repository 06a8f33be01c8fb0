"""What the first deployment of a chute costs, by the platform's prices."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.emulator.gpus import GPUS, suitable
from chutes_wrappers.emulator.gpus import first_deployment_fee as fee_of_the_platform
from chutes_wrappers.host.pricing import first_deployment_fee

PRICING: dict[str, Any] = {
    "gpu_price_estimates": {gpu.name: {"memory": gpu.memory_gb, "usd": {"hour": gpu.hourly_price}} for gpu in GPUS}
}


@pytest.mark.parametrize(
    "selector",
    [
        {"gpu_count": 1, "min_vram_gb_per_gpu": 16},
        {"gpu_count": 4, "min_vram_gb_per_gpu": 80},
        {"gpu_count": 2, "min_vram_gb_per_gpu": 24, "exclude": ["3090"]},
        {"gpu_count": 1, "min_vram_gb_per_gpu": 16, "include": ["H100", "a100"]},
    ],
)
def test_it_is_what_the_platform_takes(selector: dict[str, Any]) -> None:
    cheapest = suitable(selector["min_vram_gb_per_gpu"], None, selector.get("include"), selector.get("exclude"))[0]
    expected = fee_of_the_platform(cheapest.hourly_price, selector["gpu_count"])
    assert first_deployment_fee(PRICING, selector) == expected


@pytest.mark.parametrize(
    "pricing",
    [
        {},
        {"gpu_price_estimates": []},
        {"gpu_price_estimates": {"h100": {"usd": {"hour": 1.5}}}},
        {"gpu_price_estimates": {"h100": 1}},
    ],
)
def test_what_is_not_told_is_not_guessed(pricing: dict[str, Any]) -> None:
    assert first_deployment_fee(pricing, {"gpu_count": 1, "min_vram_gb_per_gpu": 16}) is None


def test_a_gpu_of_unknown_memory_counts_where_it_is_named() -> None:
    pricing = {"gpu_price_estimates": {"h100": {"usd": {"hour": 1.5}}}}
    assert first_deployment_fee(pricing, {"gpu_count": 2, "include": ["h100"]}) == 9.0


def test_nothing_fits_a_price_that_is_too_low() -> None:
    assert first_deployment_fee(PRICING, {"gpu_count": 1, "max_hourly_price_per_gpu": 0.01}) is None
