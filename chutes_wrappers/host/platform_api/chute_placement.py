"""What a deployed chute runs on and what that costs, from the API's record of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.platform_api.objects import ChuteInfo
from chutes_wrappers.host.pricing import HourlyPrice, find_hourly_price, format_dollars, read_gpu_count

_MOST_NAMES = 4


def find_chute_price(chute: ChuteInfo) -> HourlyPrice | None:
    """Return what an instance of a deployed chute costs an hour: the API's ``current_estimated_price``, else by our table."""
    price = find_hourly_price(chute.node_selector, record=chute.record)
    is_known = bool(chute.node_selector) or (price is not None and price.source == "chute")
    return price if is_known else None


def describe_gpus(selector: Mapping[str, Any]) -> str:
    """Describe the GPUs of an instance by the API's node selector: ``2 x h100 or h200, 80 GB or more``; empty without one.

    ``dynamic`` and ``compute_multiplier`` say nothing about the GPUs that an instance gets.
    """
    if not selector:
        return ""
    included, supported, excluded = (
        _read_names(selector.get(name)) for name in ("include", "supported_gpus", "exclude")
    )
    parts = [f"{read_gpu_count(selector) or 1} x {_format_names(included or supported)}"]
    memory = selector.get("min_vram_gb_per_gpu")
    if isinstance(memory, int) and memory > platform_rules.NODE_RANGES["min_vram_gb_per_gpu"][0]:
        parts.append(f"{memory} GB or more")
    if excluded and not included and not supported:
        parts.append(f"not {', '.join(excluded)}")
    limit = selector.get("max_hourly_price_per_gpu")
    if isinstance(limit, int | float) and not isinstance(limit, bool):
        parts.append(f"limited to {format_dollars(limit)} an hour and GPU")
    return ", ".join(parts)


def _format_names(names: list[str]) -> str:
    if not names:
        return "any GPU"
    if len(names) > _MOST_NAMES:
        return f"one of {len(names)} kinds of GPU ({', '.join(names[: _MOST_NAMES - 1])}, …)"
    return " or ".join(names)


def _read_names(value: object) -> list[str]:
    return [clean_text(name) for name in value] if isinstance(value, list | tuple) else []
