"""The platform's API as one application."""

from __future__ import annotations

from fastapi import FastAPI

from chutes_wrappers.emulator.api import api_keys, chutes, images, instances, logos, pricing, secrets, users, warmup
from chutes_wrappers.emulator.api.platform import Platform

# In this order: a route of warmup comes before those that take any path below /chutes.
_ROUTERS = (
    *(users.router, secrets.router, logos.router, images.router, warmup.router, chutes.router),
    *(api_keys.router, instances.router, pricing.router),
)


def create_app(platform: Platform) -> FastAPI:
    """The API in front of ``platform``."""
    app = FastAPI(title="Chutes, emulated", docs_url=None, redoc_url=None)
    app.state.platform = platform
    for router in _ROUTERS:
        app.include_router(router)
    return app
