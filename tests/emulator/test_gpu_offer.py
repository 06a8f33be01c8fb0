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
        {"include": ["3090", "pro_6000"]},
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
        {"include": ["h100"]},
        {"include": None},
    ],
)
def test_other_selectors_fit_no_gpu(selector: dict[str, Any]) -> None:
    assert left(**selector) == frozenset()


def test_the_fee_is_three_hours_of_all_gpus() -> None:
    assert (compute_first_deployment_fee(1), compute_first_deployment_fee(8)) == (5.4, 43.2)
