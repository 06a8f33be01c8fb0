"""What a deployed chute runs on, and its price, by records of both servers."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.host.platform_api.chute_placement import describe_gpus, find_chute_price
from chutes_wrappers.host.platform_api.objects import parse_chute
from chutes_wrappers.host.pricing import format_hourly

# As the API of October 2025 answers (api-observed 86).
OLD = {
    "gpu_count": 1,
    "min_vram_gb_per_gpu": 16,
    "include": None,
    "exclude": ["b200", "mi300x"],
    "dynamic": False,
    "supported_gpus": ["3090", "4090", "a100", "h100", "l4"],
    "compute_multiplier": 0.9,
}


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (OLD, "1 x one of 5 kinds of GPU (3090, 4090, a100, …)"),
        ({"gpu_count": 1, "include": ["pro_6000"], "supported_gpus": ["pro_6000"]}, "1 x pro_6000"),
        ({"gpu_count": 2, "include": ["h100", "h200"], "min_vram_gb_per_gpu": 80}, "2 x h100 or h200, 80 GB or more"),
        (
            {"gpu_count": 1, "exclude": ["b200"], "max_hourly_price_per_gpu": 2.5},
            "1 x any GPU, not b200, limited to $2.50 an hour and GPU",
        ),
        ({"gpu_count": "x", "include": "odd", "min_vram_gb_per_gpu": None}, "1 x any GPU"),
        ({}, ""),
    ],
)
def test_gpus_are_readable(selector: dict[str, Any], text: str) -> None:
    assert describe_gpus(selector) == text


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ({"node_selector": OLD, "current_estimated_price": {"usd": {"hour": 0.2}}}, "$0.20 an hour"),
        ({"node_selector": OLD}, "about $0.25 an hour (estimate by the known prices of 2026-08)"),
        ({"node_selector": None, "current_estimated_price": {"usd": {"hour": 0.2}}}, "$0.20 an hour"),
        ({"node_selector": None, "current_estimated_price": None}, None),
        ({}, None),
    ],
)
def test_the_price_is_the_platforms_or_marked(record: dict[str, Any], text: str | None) -> None:
    price = find_chute_price(parse_chute({"chute_id": "1", "name": "case", **record}))
    assert (price and format_hourly(price)) == text
