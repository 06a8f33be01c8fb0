"""What a chute costs, by the platform's prices."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.host.pricing import first_deployment_fee, hourly_price


def test_it_is_the_price_of_the_gpu_that_is_given_out_and_the_fee_is_three_hours_of_it() -> None:
    pricing = {"gpu_price_estimates": {"3090": {"usd": {"hour": 0.25}}, "pro_6000": {"usd": {"hour": 1.8}}}}
    assert (hourly_price(pricing), first_deployment_fee(pricing)) == (1.8, 5.4)


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
def test_what_is_not_told_is_not_guessed(pricing: dict[str, Any]) -> None:
    assert (hourly_price(pricing), first_deployment_fee(pricing)) == (None, None)
