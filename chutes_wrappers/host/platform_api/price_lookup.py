"""The request for the prices of all GPUs."""

from __future__ import annotations

from typing import Any

from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed


def fetch_pricing(api: PlatformApi) -> dict[str, Any]:
    """Return the response of GET /pricing (PLATFORM.md, section 5); empty when the API refuses it or fails.

    Raises PlatformUnreachable, and WrapperError for a response that is not the platform's.
    """
    try:
        return api.get("/pricing", "requesting prices", purpose="pricing")
    except PlatformRequestFailed:
        return {}
