"""GPU prices of mid-2026 (api, PLATFORM.md, section 4)."""

from __future__ import annotations

from fastapi import APIRouter

from chutes_wrappers.core.platform_rules import GPU_HOURLY_PRICES
from chutes_wrappers.emulator.api.payloads import JsonObject

router = APIRouter(tags=["pricing"])
_HOUR_S = 3600


@router.get("/pricing")
async def pricing() -> JsonObject:
    """Return the price of each GPU in dollars per hour and per second. As on the platform, without memory sizes (section 5)."""
    return {
        "gpu_price_estimates": {
            name: {"usd": {"hour": price, "second": price / _HOUR_S}} for name, price in GPU_HOURLY_PRICES.items()
        }
    }
