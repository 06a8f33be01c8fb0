"""The local guard of ``chutes run --dev``, which listens on the developer's machine without authentication."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from chutes.chute import Chute

from chutes_wrappers.core.local_guard import LocalGuard, allow_list_from_environment
from chutes_wrappers.runtime.guarded_app import GuardedApp

_sdk_call = Chute.__call__


def is_dev_run() -> bool:
    """Return whether this process is a ``chutes run --dev``.

    SDK entrypoint/run.py sets the variable before it loads a module.
    """
    return os.environ.get("CHUTES_DEV_MODE", "").lower() == "true"


def guard_dev_run() -> None:
    """Call ``install_guard`` in a dev run, which the SDK's own command may have started. Do nothing on an instance."""
    if is_dev_run():
        install_guard()


def install_guard() -> None:
    """Put the guard in front of every chute of this process and of the SDK's log server, once.

    It wraps ``Chute.__call__``. Middleware of a chute would run inside the SDK's, which reads the body first.
    """
    if Chute.__call__ is not _sdk_call:
        return
    guard = LocalGuard(loopback_origins=True, allowed=allow_list_from_environment(os.environ))

    async def guarded_call(self: Any, scope: Any, receive: Any, send: Any) -> None:
        await GuardedApp(partial(_sdk_call, self), guard)(scope, receive, send)

    Chute.__call__ = guarded_call
    _guard_log_server(guard)


def _guard_log_server(guard: LocalGuard) -> None:
    """In dev mode the SDK serves its log without authentication (SDK entrypoint/logger.py); its app may already run."""
    from chutes.entrypoint.logger import app

    app.middleware_stack = GuardedApp(app.middleware_stack or app.build_middleware_stack(), guard)
