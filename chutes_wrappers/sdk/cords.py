"""Registration of routes as cords of a chute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from chutes.chute import Chute
from chutes.util.context import is_local
from fastapi import HTTPException, Response
from loguru import logger

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.core.body_schemas import build_fallback_schema
from chutes_wrappers.core.calling_module import find_caller_globals
from chutes_wrappers.core.cord_plan import PlannedCord, plan_cords
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.exposure import parse_expose
from chutes_wrappers.core.manifest import parse_routes
from chutes_wrappers.core.overruled_rules import refuse
from chutes_wrappers.core.routes import find_unknown_keys
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.call_shape import AbandonMiddleware, Call, CallShapeMiddleware, CordCalls
from chutes_wrappers.runtime.dev_bodies import reject_invalid_bodies
from chutes_wrappers.runtime.gateway import Gateway
from chutes_wrappers.runtime.module_headers import ServiceHeaders
from chutes_wrappers.runtime.streams import make_stream_handler
from chutes_wrappers.sdk.cord_overrides import call_of_cord, remove_overridden_cords
from chutes_wrappers.sdk.dev_guard import guard_dev_run, is_dev_run
from chutes_wrappers.sdk.header_wiring import attach_headers, check_native_headers, make_selector
from chutes_wrappers.sdk.loopback import get_loopback_server
from chutes_wrappers.sdk.route_source import is_registration_skipped

EXPOSE_VARIABLE = "CHUTE_EXPOSE"


def register_passthrough_routes(
    chute: Chute,
    routes: Iterable[Mapping[str, Any]],
    default_port: int,
    *,
    public_methods: Iterable[str] = platform_rules.API_PUBLIC_METHODS,
) -> None:
    """Publish ``routes`` as cords of ``chute``. A route without a port goes to ``default_port``.

    Calls go through our gateway, which passes on any request body and any response. ``"native": true`` leaves a route to
    the SDK's own passthrough.

    ``public_methods`` may add PUT, PATCH, DELETE and HEAD, which only the newest version of the API accepts. An older one
    rejects the whole chute (PLATFORM.md, section 2).

    Internal, root, file and parameter paths are not published, and logged with the reason, unless the module's
    ``CHUTE_EXPOSE`` names their category. Methods outside ``public_methods`` are published as POST: on the same path, or
    on ``<path>/<method>`` if that path has a POST. A route is not published if the module defines a cord for the same
    call, before or after this one.

    The service also gets the headers of the module's ``CHUTE_HEADERS`` and of the chute's ``passthrough_headers``.

    Raises ConfigurationError for an invalid route, header or public method, and for a route whose calls could never work.
    """
    guard_dev_run()
    if is_registration_skipped():
        return
    published_methods = _check_public_methods(public_methods)
    entries = list(routes)
    if ignored := find_unknown_keys(entries):
        logger.warning(f"routes: ignoring unknown keys: {', '.join(ignored)}")
    module = find_caller_globals()
    exposed = parse_expose(module.get(EXPOSE_VARIABLE) or (), where=EXPOSE_VARIABLE)
    headers = attach_headers(chute, module)
    if reserved := platform_checks.find_reserved_port_problem(default_port):
        refuse(
            "service-port",
            ConfigurationError(
                reserved,
                where="default_port",
                next_step="configure the service to listen on another port, and pass that port",
            ),
        )
    plan = plan_cords(parse_routes(entries, where="routes"), default_port, published_methods, exposed)
    for skipped in plan.skipped:
        logger.info(f"not published: {skipped.method} {skipped.path} (port {skipped.port}): {skipped.reason}")
    for warning in plan.warnings:
        logger.warning(warning)
    module_calls = {call_of_cord(cord) for cord in chute.cords}
    for cord in plan.cords:
        if _call_of_plan(cord) in module_calls:
            _log_override(_call_of_plan(cord))
    cords = [cord for cord in plan.cords if _call_of_plan(cord) not in module_calls]
    gateway, first_route_cord = Gateway(), len(chute.cords)
    for cord in cords:
        _register_cord(chute, cord, gateway, headers)
    call_sets = _add_middlewares(chute, cords)

    def handle_removal(call: Call) -> None:
        _log_override(call)
        for calls in call_sets:
            calls.remove_public(call)

    remove_overridden_cords(chute, chute.cords[first_route_cord:], handle_removal)


def _check_public_methods(methods: Iterable[str]) -> tuple[str, ...]:
    """Return ``methods``. Raises ConfigurationError for a text in place of a list, and for a method that no API accepts."""
    valid = (*platform_rules.API_PUBLIC_METHODS, *platform_rules.NEWEST_PUBLIC_METHODS)
    listed = (methods,) if isinstance(methods, str) else tuple(methods)
    invalid = [method for method in listed if method not in valid]
    if invalid or isinstance(methods, str):
        raise ConfigurationError(
            f"public_methods is {methods!r}: "
            + (f"{invalid[0]!r} is not a valid public method" if invalid else "it must be a list"),
            where="register_passthrough_routes",
            next_step=f'use names from {", ".join(valid)} in a list, as in public_methods=["GET", "POST", "PUT"]',
        )
    return listed


def _add_middlewares(chute: Chute, cords: Sequence[PlannedCord]) -> tuple[CordCalls, ...]:
    """Add the middlewares for calls of ``cords``. Return the sets of calls that they handle."""
    if is_local():
        return ()
    # Only a `chutes run --dev` serves cords under their public paths (SDK chute/base.py).
    if is_dev_run():
        reject_invalid_bodies(chute)
    cords_by_call = {_call_of_plan(cord): cord for cord in reversed(cords)} if is_dev_run() else {}
    gateway_calls = CordCalls(
        public=(call for call, cord in cords_by_call.items() if _is_handled_by_gateway(cord)),
        internal=(cord.internal_path for cord in cords if _is_handled_by_gateway(cord)),
    )
    all_calls = CordCalls(public=cords_by_call, internal=(cord.internal_path for cord in cords))
    # The middleware that is added last runs first.
    chute.add_middleware(AbandonMiddleware, calls=gateway_calls)
    chute.add_middleware(CallShapeMiddleware, calls=all_calls)
    return gateway_calls, all_calls


def _is_handled_by_gateway(cord: PlannedCord) -> bool:
    return not (cord.stream or cord.route.native)


def _call_of_plan(cord: PlannedCord) -> Call:
    return cord.public_method, cord.public_path


def _log_override(call: Call) -> None:
    logger.info(f"not published: {' '.join(call)}: the module defines its own cord for it")


def _register_cord(chute: Chute, cord: PlannedCord, gateway: Gateway, headers: ServiceHeaders) -> None:
    if cord.route.native:
        check_native_headers(chute, headers, cord)
        passthrough_settings = {
            "passthrough": True,
            "passthrough_port": cord.port,
            "passthrough_path": cord.route.target_path,
        }
    elif cord.stream:
        passthrough_settings = _build_loopback_settings(chute, cord, gateway, headers)
    else:
        # Declared as passthrough, so that the platform delivers query parameters. On the instance our handler runs
        # instead, so that any body and media type can be returned (PLATFORM.md, section 3).
        passthrough_settings = {"passthrough": is_local()}
    route = cord.route
    chute.cord(
        path=cord.internal_path,
        public_api_path=cord.public_path,
        public_api_method=cord.public_method,
        # For a stream this is the method of the SDK's request to the loopback server.
        method="POST" if cord.stream and not route.native else route.upstream_method,
        stream=cord.stream,
        input_schema=route.input_schema or build_fallback_schema(route.request),
        output_schema=route.output_schema,
        output_content_type=_content_type_of(cord),
        **passthrough_settings,
    )(_build_handler(cord, gateway, headers))


def _build_loopback_settings(
    chute: Chute, cord: PlannedCord, gateway: Gateway, headers: ServiceHeaders
) -> dict[str, Any]:
    server = get_loopback_server(chute)
    if server is not None:
        server.add_handler(
            cord.internal_path, make_stream_handler(gateway, cord.route, cord.port, make_selector(headers, cord))
        )
    return {
        "passthrough": True,
        "passthrough_path": cord.internal_path,
        "passthrough_port": server.port if server else None,
    }


def _content_type_of(cord: PlannedCord) -> str:
    if cord.stream:
        return "text/event-stream"
    hint = cord.route.response
    return (hint and hint.content_type) or "application/json"


def _build_handler(cord: PlannedCord, gateway: Gateway, headers: ServiceHeaders) -> Callable[..., Any]:
    """Return the function that handles a call on the instance, unless the SDK's passthrough does."""
    select_headers = make_selector(headers, cord)

    def handle_call(self: Any, call: Any = None) -> Any:
        try:
            response = gateway.handle_call(cord.route, cord.port, call, select_headers)
        except CallFailed as failure:
            raise HTTPException(status_code=failure.status, detail=failure.detail) from failure
        return Response(content=response.body, media_type=response.content_type)

    handle_call.__name__ = handle_call.__qualname__ = cord.function_name
    return handle_call
