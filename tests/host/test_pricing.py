"""What a chute costs, by the platform's prices."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.host.pricing import compute_first_deployment_fee, parse_hourly_price


def test_price_and_fee_are_those_of_the_offered_gpu() -> None:
    pricing = {"gpu_price_estimates": {"3090": {"usd": {"hour": 0.25}}, "pro_6000": {"usd": {"hour": 1.8}}}}
    assert (parse_hourly_price(pricing), compute_first_deployment_fee(pricing)) == (1.8, 5.4)


@pytest.mark.parametrize(
    ("selector", "fee"),
    [
        ({"gpu_count": 1, "include": ["pro_6000"]}, 5.4),
        ({"gpu_count": "2", "include": ["pro_6000"]}, 10.8),
        ({"gpu_count": 8, "include": ["pro_6000", "3090"]}, 6.0),
        ({"gpu_count": 8, "include": ["pro_6000", "3090"], "exclude": ["3090"]}, 43.2),
        ({"gpu_count": 1, "include": ["h100"]}, None),
        ({"gpu_count": "many", "include": ["pro_6000"]}, None),
    ],
)
def test_the_fee_of_another_placement_is_of_all_its_gpus(selector: dict[str, Any], fee: float | None) -> None:
    pricing = {"gpu_price_estimates": {"3090": {"usd": {"hour": 0.25}}, "pro_6000": {"usd": {"hour": 1.8}}}}
    assert compute_first_deployment_fee(pricing, selector) == fee


@pytest.mark.parametrize(
    "pricing",
    [
        {},
        {"gpu_price_estimates": []},
        {"gpu_price_estimates": {"h100": {"usd": {"hour": 1.5}}}},
        {"gpu_price_estimates": {"pro_6000": 1}},
        {"gpu_price_estimates": {"pro_6000": {"usd": {"hour": "1.8"}}}},
        {"gpu_price_estimates": {"pro_6000": {"usd": {"hour": True}}}},
    ],
)
def test_a_missing_price_is_none(pricing: dict[str, Any]) -> None:
    assert (parse_hourly_price(pricing), compute_first_deployment_fee(pricing)) == (None, None)
