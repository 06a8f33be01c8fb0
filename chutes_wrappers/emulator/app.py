"""The platform's API as one FastAPI application."""

from __future__ import annotations

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import PlainTextResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from chutes_wrappers.emulator.api import (
    api_key_routes,
    chute_routes,
    image_routes,
    instance_routes,
    logo_routes,
    pricing_routes,
    secret_routes,
    startup_log_routes,
    user_routes,
    warmup_routes,
)
from chutes_wrappers.emulator.api.context import Platform, find_caller_problem, platform_of
from chutes_wrappers.emulator.api.request_texts import refuse_lone_surrogates

# The order matters: the warmup route comes before those that match any path below /chutes.
_ROUTERS = (
    *(
        user_routes.router,
        secret_routes.router,
        logo_routes.router,
        image_routes.router,
        warmup_routes.router,
        chute_routes.router,
    ),
    *(api_key_routes.router, instance_routes.router, startup_log_routes.router, pricing_routes.router),
)


def create_app(platform: Platform) -> FastAPI:
    """Return the API of ``platform``."""
    texts = Depends(refuse_lone_surrogates)
    app = FastAPI(title="Chutes, emulated", docs_url=None, redoc_url=None, dependencies=[texts])
    app.state.platform = platform
    for router in _ROUTERS:
        app.include_router(router)
    app.add_exception_handler(HTTPException, _respond_to_error)
    app.add_exception_handler(StarletteHTTPException, _respond_to_unknown_path)
    return app


async def _respond_to_error(request: Request, error: Exception) -> Response:
    """Return an error as JSON, but a 500 as the platform does: plain text without a reason (PLATFORM.md, section 4)."""
    assert isinstance(error, HTTPException)
    if error.status_code == 500:
        return PlainTextResponse("Internal Server Error", 500)
    return await http_exception_handler(request, error)


async def _respond_to_unknown_path(request: Request, error: Exception) -> Response:
    """Return 401 to a caller without an account, as the platform does for every unknown path or method (section 5)."""
    assert isinstance(error, StarletteHTTPException)
    if error.status_code in (404, 405) and find_caller_problem(platform_of(request), request.headers):
        error = HTTPException(401, "Authentication required.")
    return await http_exception_handler(request, error)
