"""What GPUs cost here; the platform's own prices are others."""

from __future__ import annotations

from fastapi import APIRouter

from chutes_wrappers.emulator.api.answers import Answer
from chutes_wrappers.emulator.gpus import GPUS

router = APIRouter(tags=["pricing"])
_HOUR_S = 3600


@router.get("/pricing")
async def pricing() -> Answer:
    """Dollars by the hour and by the second, and the memory of each GPU."""
    return {
        "gpu_price_estimates": {
            gpu.name: {
                "memory": gpu.memory_gb,
                "usd": {"hour": gpu.hourly_price, "second": gpu.hourly_price / _HOUR_S},
            }
            for gpu in GPUS
        }
    }
