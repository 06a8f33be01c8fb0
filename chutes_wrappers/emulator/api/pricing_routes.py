"""GPU prices of mid-2026 (api, PLATFORM.md, section 4)."""

from __future__ import annotations

from fastapi import APIRouter

from chutes_wrappers.core.platform_rules import GPU_HOURLY_PRICES
from chutes_wrappers.emulator.api.payloads import DOLLARS_OF_TAO, JsonObject, build_price

router = APIRouter(tags=["pricing"])
_COMPUTE_UNIT_PRICE = min(GPU_HOURLY_PRICES.values())


@router.get("/pricing")
async def pricing() -> JsonObject:
    """Return the prices of each GPU. As on the platform, without memory sizes (section 5)."""
    return {
        "tao_usd": DOLLARS_OF_TAO,
        "compute_unit_estimate": build_price(_COMPUTE_UNIT_PRICE),
        "gpu_price_estimates": {name: build_price(price) for name, price in GPU_HOURLY_PRICES.items()},
    }
