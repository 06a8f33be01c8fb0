"""What a chute costs, by the platform's prices."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.host.pricing import compute_first_deployment_fee, parse_hourly_price


def test_price_and_fee_are_those_of_the_offered_gpu() -> None:
    pricing = {"gpu_price_estimates": {"3090": {"usd": {"hour": 0.25}}, "pro_6000": {"usd": {"hour": 1.8}}}}
    assert (parse_hourly_price(pricing), compute_first_deployment_fee(pricing)) == (1.8, 5.4)


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
