"""The deployment of ``--emulate``."""

from __future__ import annotations

from chutes_wrappers.cli.emulation.emulated_deployment import BALANCE
from chutes_wrappers.core.platform_rules import GPU_HOURLY_PRICES, NODE_RANGES
from chutes_wrappers.emulator.deployment_request import NodeSelectorRequest
from chutes_wrappers.emulator.gpu_offer import compute_first_deployment_fee


def test_the_user_can_pay_for_any_placement_that_allow_lets_through() -> None:
    dearest = max(GPU_HOURLY_PRICES, key=lambda name: GPU_HOURLY_PRICES[name])
    selector = NodeSelectorRequest(gpu_count=NODE_RANGES["gpu_count"][1], include=[dearest])
    assert compute_first_deployment_fee(selector) < BALANCE
