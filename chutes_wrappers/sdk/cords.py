"""Routes → cords on a chute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from chutes.chute import Chute
from chutes.util.context import is_local
from fastapi import HTTPException, Response
from loguru import logger

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.body_schemas import schema_of
from chutes_wrappers.core.calling_module import caller_globals
from chutes_wrappers.core.cord_plan import PlannedCord, plan_cords
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.exposure import parse_expose
from chutes_wrappers.core.manifest import parse_routes
from chutes_wrappers.core.routes import meaningless_keys
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.call_shape import AbandonMiddleware, Call, CallShapeMiddleware, CordCalls
from chutes_wrappers.runtime.dev_bodies import refuse_bad_bodies
from chutes_wrappers.runtime.gateway import Gateway
from chutes_wrappers.runtime.streams import stream_handler
from chutes_wrappers.sdk.cord_overrides import call_of, give_way
from chutes_wrappers.sdk.dev_guard import guard_dev_run, is_dev_run
from chutes_wrappers.sdk.loopback import loopback_of
from chutes_wrappers.sdk.route_source import registration_is_skipped

EXPOSE_VARIABLE = "CHUTE_EXPOSE"


def register_passthrough_routes(
    chute: Chute,
    routes: Iterable[Mapping[str, Any]],
    default_port: int,
    *,
    public_methods: Iterable[str] = platform_rules.API_PUBLIC_METHODS,
) -> None:
    """Publish ``routes`` as cords of ``chute``; a route without a port goes to ``default_port``.

    Calls go through our gateway, which carries any body and answer; ``"native": true`` leaves a route to the SDK's own
    passthrough. Internal, root, file and parameter paths are left out, each logged with its reason, unless the module's
    ``CHUTE_EXPOSE`` names their category. Methods outside ``public_methods`` are published as POST: on their own path, or
    on ``<path>/<method>`` beside a POST. Where the module has a cord of its own, before this call or after it, no route is
    published. Raises ConfigurationError for a malformed route, or one
    whose calls could never work.
    """
    guard_dev_run()
    if registration_is_skipped():
        return
    entries = list(routes)
    if ignored := meaningless_keys(entries):
        logger.warning(f"routes: keys without a meaning here are ignored: {', '.join(ignored)}")
    exposed = parse_expose(caller_globals().get(EXPOSE_VARIABLE) or (), where=EXPOSE_VARIABLE)
    if reserved := platform_rules.reserved_port_problem(default_port):
        raise ConfigurationError(
            reserved, where="default_port", next_step="let the service listen on another port, and name that"
        )
    plan = plan_cords(parse_routes(entries, where="routes"), default_port, public_methods, exposed)
    for skipped in plan.skipped:
        logger.info(f"not published: {skipped.method} {skipped.path} (port {skipped.port}): {skipped.reason}")
    for warning in plan.warnings:
        logger.warning(warning)
    own = {call_of(cord) for cord in chute.cords}
    cords = [cord for cord in plan.cords if not _is_taken(own, cord)]
    gateway, before = Gateway(), len(chute.cords)
    for cord in cords:
        _register(chute, cord, gateway)
    shaped = _shape_calls(chute, cords)

    def withdraw(call: Call) -> None:
        _log_taken(call)
        for calls in shaped:
            calls.withdraw(call)

    give_way(chute, chute.cords[before:], withdraw)


def _shape_calls(chute: Chute, cords: Sequence[PlannedCord]) -> tuple[CordCalls, ...]:
    """Returns what the middlewares take for calls of ``cords``."""
    if is_local():
        return ()
    # Only a `chutes run --dev` serves cords under their public paths (SDK chute/base.py).
    if is_dev_run():
        refuse_bad_bodies(chute)
    public = {_call(cord): cord for cord in reversed(cords)} if is_dev_run() else {}
    answered = CordCalls(
        public=(call for call, cord in public.items() if _is_answered_here(cord)),
        internal=(cord.internal_path for cord in cords if _is_answered_here(cord)),
    )
    shaped = CordCalls(public=public, internal=(cord.internal_path for cord in cords))
    # The last one added is the first to see a call.
    chute.add_middleware(AbandonMiddleware, calls=answered)
    chute.add_middleware(CallShapeMiddleware, calls=shaped)
    return answered, shaped


def _is_answered_here(cord: PlannedCord) -> bool:
    return not (cord.stream or cord.route.native)


def _call(cord: PlannedCord) -> Call:
    return cord.public_method, cord.public_path


def _is_taken(own: set[Call], planned: PlannedCord) -> bool:
    """Whether the module already answers this call itself."""
    taken = _call(planned) in own
    if taken:
        _log_taken(_call(planned))
    return taken


def _log_taken(call: Call) -> None:
    logger.info(f"not published: {' '.join(call)}: the module's own cord answers there")


def _register(chute: Chute, cord: PlannedCord, gateway: Gateway) -> None:
    if cord.route.native:
        how = {"passthrough": True, "passthrough_port": cord.port, "passthrough_path": cord.route.target_path}
    elif cord.stream:
        how = _through_loopback(chute, cord, gateway)
    else:
        # Declared as passthrough, so that the platform delivers query parameters; answered by our handler on the instance,
        # so that any body and media type gets back (PLATFORM.md, section 3).
        how = {"passthrough": is_local()}
    route = cord.route
    chute.cord(
        path=cord.internal_path,
        public_api_path=cord.public_path,
        public_api_method=cord.public_method,
        # Of a stream it is the method that the SDK calls the loopback server with.
        method="POST" if cord.stream and not route.native else route.upstream_method,
        stream=cord.stream,
        input_schema=route.input_schema or schema_of(route.request),
        output_schema=route.output_schema,
        output_content_type=_content_type(cord),
        **how,
    )(_handler(cord, gateway))


def _through_loopback(chute: Chute, cord: PlannedCord, gateway: Gateway) -> dict[str, Any]:
    server = loopback_of(chute)
    if server is not None:
        server.add(cord.internal_path, stream_handler(gateway, cord.route, cord.port))
    return {
        "passthrough": True,
        "passthrough_path": cord.internal_path,
        "passthrough_port": server.port if server else None,
    }


def _content_type(cord: PlannedCord) -> str:
    if cord.stream:
        return "text/event-stream"
    hint = cord.route.response
    return (hint and hint.content_type) or "application/json"


def _handler(cord: PlannedCord, gateway: Gateway) -> Callable[..., Any]:
    """What answers a call on the instance, unless the SDK's passthrough does."""

    def carry(self: Any, call: Any = None) -> Any:
        try:
            answer = gateway.answer(cord.route, cord.port, call)
        except CallFailed as refusal:
            raise HTTPException(status_code=refusal.status, detail=refusal.detail) from refusal
        return Response(content=answer.body, media_type=answer.content_type)

    carry.__name__ = carry.__qualname__ = cord.function_name
    return carry
