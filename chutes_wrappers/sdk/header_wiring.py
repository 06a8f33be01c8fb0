"""The module's headers (``CHUTE_HEADERS``) of a chute: for our handlers, and for the SDK's own passthrough."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from chutes.chute import Chute
from chutes.util.context import is_local

from chutes_wrappers.core.cord_plan import PlannedCord
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.module_headers import HEADERS_VARIABLE
from chutes_wrappers.runtime.call_shape import ASGIApp, Call, Scope
from chutes_wrappers.runtime.module_headers import SelectHeaders, ServiceHeaders, read_service_headers
from chutes_wrappers.runtime.startup import use_headers

# The emulated platform's runner reads it, for requests that are made directly at the service.
_ATTRIBUTE = "service_headers"
# Before everything else that starts.
_PRIORITY = 1


def attach_headers(chute: Chute, module: Mapping[str, Any]) -> ServiceHeaders:
    """Return the headers of ``chute``, which the module with these globals defines.

    On the instance, the SDK's passthrough sends them too, and an unset variable ends the start. Raises ConfigurationError for
    an invalid ``CHUTE_HEADERS``. Call it before middlewares are added that change the shape of calls.
    """
    attached: ServiceHeaders | None = getattr(chute, _ATTRIBUTE, None)
    if attached is not None:
        return attached
    headers = read_service_headers(module, chute)
    setattr(chute, _ATTRIBUTE, headers)
    if not is_local():
        if headers:
            chute.add_middleware(PassthroughHeaders, chute=chute, headers=headers)

        @chute.on_startup(priority=_PRIORITY)  # type: ignore[untyped-decorator]  # the SDK has no types
        async def check_headers(self: Any) -> None:
            if not headers.has_headers_of(module):
                raise ConfigurationError(
                    "is set or changed after the routes are registered, so no service gets it",
                    where=HEADERS_VARIABLE,
                    next_step=f"set {HEADERS_VARIABLE} above register_passthrough_routes and register_tunnel",
                )
            use_headers(headers)

    return headers


def make_selector(headers: ServiceHeaders, cord: PlannedCord) -> SelectHeaders:
    """Return what selects the headers for the calls of ``cord``: by its public or its own name, or the service's."""
    *names, service_target = _list_targets(cord)
    headers.add_names(service_target, names)
    return lambda: headers.select(cord.port, *names, service_target)


def check_native_headers(chute: Chute, headers: ServiceHeaders, cord: PlannedCord) -> None:
    """Raise ConfigurationError if the SDK's passthrough of ``cord`` would send another value of a module's header."""
    own = {str(name).lower() for name in chute.passthrough_headers or {}}
    names = headers.list_names(cord.port, *_list_targets(cord))
    if conflicts := [name for name in names if name.lower() in own]:
        raise ConfigurationError(
            f"the SDK's passthrough of {cord.route.describe()} would send {conflicts[0]} of the chute's passthrough_headers",
            where=HEADERS_VARIABLE,
            next_step=f'remove {conflicts[0]} from passthrough_headers, or "native" from the route',
        )


def _list_targets(cord: PlannedCord) -> tuple[Call, ...]:
    route = cord.route
    service_path = route.target_path.partition("?")[0]
    return (cord.public_method, cord.public_path), (route.method, route.path), (route.upstream_method, service_path)


class PassthroughHeaders:
    """Adds the module's headers to calls that the SDK's passthrough sends: of native routes, and of the module's own cords.

    The SDK passes the ``headers`` of a call on, and overrides them with the chute's (SDK chute/cord.py).
    """

    def __init__(self, app: ASGIApp, chute: Chute, headers: ServiceHeaders) -> None:
        self._app = app
        self._chute = chute
        self._headers = headers
        self._cords: dict[Call, Any] | None = None

    async def __call__(self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
        """Pass a call on."""
        cord = self._find_cord(scope) if scope["type"] == "http" else None
        if cord is not None:
            targets = [(cord._public_api_method, cord.public_api_path), (cord._method, cord.passthrough_path)]
            if headers := self._headers.select_of_module(cord._passthrough_port, *targets):
                state = scope.setdefault("state", {})
                state["decrypted"] = {**_shape_call(state.get("decrypted")), "headers": headers}
        await self._app(scope, receive, send)

    def _find_cord(self, scope: Scope) -> Any:
        """Return the cord of the SDK's passthrough that serves a request, on the platform or in a dev run."""
        if self._cords is None:
            # Our streams are passthroughs to our own server, at their internal path.
            native = [cord for cord in self._chute.cords if cord._passthrough and cord.passthrough_path != cord.path]
            self._cords = {
                **{(cord._public_api_method, cord.public_api_path): cord for cord in reversed(native)},
                **{("POST", cord.path): cord for cord in native},
            }
        return self._cords.get((scope["method"], scope["path"]))


def _shape_call(call: Any) -> dict[str, Any]:
    """Return a call as the SDK's passthrough takes it; it may be a bare body."""
    if isinstance(call, dict) and "json" in call and "params" in call:
        return call
    return {"json": call or None, "params": {}}
