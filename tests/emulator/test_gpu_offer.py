"""The GPUs that fit a chute, and the fee of the first deployment."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.emulator.deployment_request import NodeSelectorRequest
from chutes_wrappers.emulator.gpu_offer import compute_first_deployment_fee, find_suitable_gpus


def left(**selector: Any) -> frozenset[str]:
    return find_suitable_gpus(NodeSelectorRequest.model_validate({"include": ["pro_6000"], **selector}))


@pytest.mark.parametrize(
    "selector",
    [
        {},
        {"min_vram_gb_per_gpu": 96},
        {"max_hourly_price_per_gpu": 1.8},
        {"exclude": ["h100", "B200"]},
    ],
)
def test_the_one_kind_that_is_given_out_fits(selector: dict[str, Any]) -> None:
    assert left(**selector) == {"pro_6000"}


@pytest.mark.parametrize(
    "selector",
    [
        {"min_vram_gb_per_gpu": 97},
        {"max_hourly_price_per_gpu": 1.79},
        {"exclude": ["PRO_6000"]},
        {"include": ["PRO_6000"]},
    ],
)
def test_other_selectors_of_it_fit_no_gpu(selector: dict[str, Any]) -> None:
    assert left(**selector) == frozenset()


def test_a_gpu_of_unknown_price_has_the_price_of_the_known_one() -> None:
    selector = NodeSelectorRequest.model_construct(gpu_count=1, min_vram_gb_per_gpu=16, include=["newest"])
    assert find_suitable_gpus(selector) == {"newest"}
    assert compute_first_deployment_fee(selector) == 5.4


def test_other_gpus_fit_when_the_user_overruled_that_the_platform_gives_out_one_kind() -> None:
    assert left(include=["h100", "L4"]) == {"h100"}
    assert left(include=None, max_hourly_price_per_gpu=0.25, exclude=["L4", "A10"]) == {
        *("3090", "a4000", "a4000_ada", "a5000"),
    }


@pytest.mark.parametrize(
    ("selector", "fee"),
    [({}, 5.4), ({"gpu_count": 8}, 43.2), ({"include": ["h100", "l4"]}, 0.75), ({"include": ["PRO_6000"]}, 5.4)],
)
def test_the_fee_is_three_hours_of_all_gpus(selector: dict[str, Any], fee: float) -> None:
    body = {"include": ["pro_6000"], **selector}
    assert compute_first_deployment_fee(NodeSelectorRequest.model_validate(body)) == fee
