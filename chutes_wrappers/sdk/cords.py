"""Routes → cords on a chute."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from chutes.chute import Chute
from loguru import logger

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.manifest import parse_routes
from chutes_wrappers.core.routes import PlannedCord, meaningless_keys, plan_cords
from chutes_wrappers.runtime.dev_query import DevQueryMiddleware
from chutes_wrappers.sdk.route_source import registration_is_skipped


def register_passthrough_routes(
    chute: Chute,
    routes: Iterable[Mapping[str, Any]],
    default_port: int,
    *,
    public_methods: Iterable[str] = platform_rules.API_PUBLIC_METHODS,
) -> None:
    """Publish ``routes`` as passthrough cords of ``chute``; a route without a port goes to ``default_port``.

    Internal, root, file and parameter paths and whatever the platform refuses are left out, each logged with its reason.
    Methods outside ``public_methods`` are published as POST: on their own path, or on ``<path>/<method>`` beside a POST.
    Raises ConfigurationError for a malformed route.
    """
    if registration_is_skipped():
        return
    entries = list(routes)
    if ignored := meaningless_keys(entries):
        logger.warning(f"routes: keys without a meaning here are ignored: {', '.join(ignored)}")
    plan = plan_cords(parse_routes(entries, where="routes"), default_port, public_methods)
    for skipped in plan.skipped:
        logger.info(f"not published: {skipped.method} {skipped.path} (port {skipped.port}): {skipped.reason}")
    for warning in plan.warnings:
        logger.warning(warning)
    cords = [cord for cord in plan.cords if not _is_taken(chute, cord)]
    for cord in cords:
        _register(chute, cord)
    # Only a `chutes run --dev` serves cords under their public paths, and drops the query (SDK entrypoint/run.py).
    if os.environ.get("CHUTES_DEV_MODE", "").lower() == "true":
        chute.add_middleware(
            DevQueryMiddleware, cords=frozenset((cord.public_method, cord.public_path) for cord in cords)
        )


def _is_taken(chute: Chute, planned: PlannedCord) -> bool:
    """Whether the module already answers this call itself: of two cords the platform takes the first."""
    public = (planned.public_path, planned.public_method)
    taken = any((cord.public_api_path, cord._public_api_method) == public for cord in chute.cords)
    if taken:
        logger.info(f"not published: {planned.route.describe()}: the module's own cord answers there")
    return taken


def _register(chute: Chute, cord: PlannedCord) -> None:
    route = cord.route
    chute.cord(
        path=cord.internal_path,
        public_api_path=cord.public_path,
        public_api_method=cord.public_method,
        method=route.upstream_method,
        passthrough=True,
        passthrough_port=cord.port,
        passthrough_path=route.target_path,
        stream=route.stream,
        input_schema=route.input_schema,
        output_schema=route.output_schema,
        output_content_type=route.output_content_type or ("text/event-stream" if route.stream else "application/json"),
    )(_handler(cord.function_name))


def _handler(name: str) -> Callable[..., Any]:
    """A function for the SDK to name the cord by; a passthrough cord never calls it on an instance."""

    async def passthrough(self: Any, answer: Any = None) -> Any:
        return answer

    passthrough.__name__ = passthrough.__qualname__ = name
    return passthrough
