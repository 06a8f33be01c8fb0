"""Next steps after refusals of the requests that set up an account. Those of other requests name commands that need one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from types import MappingProxyType

from chutes_wrappers.host.platform_api.api_client import PlatformRequestFailed

_STEPS: Mapping[int, str] = MappingProxyType(
    {
        HTTPStatus.PAYMENT_REQUIRED: "pay in on the website, then run the command again",
        HTTPStatus.FORBIDDEN: "log in on the website, and check the state of the account: the platform refuses it",
        HTTPStatus.NOT_FOUND: "check CHUTES_API_URL, and base_url in the account's file: the API there does not know this request",
        HTTPStatus.CONFLICT: "run the command again: something was changed at the same time",
        HTTPStatus.TOO_MANY_REQUESTS: "wait some minutes, then run the command again",
    }
)
_SERVER_ERROR = "run the command again in some minutes: the platform failed"


@contextlib.contextmanager
def explain_refusals(steps: Mapping[int, str] = MappingProxyType({})) -> Iterator[None]:
    """Give a PlatformRequestFailed of the block the next step for its status: that in ``steps``, else that of set-ups."""
    try:
        yield
    except PlatformRequestFailed as error:
        is_server_error = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        step = steps.get(error.status) or (_SERVER_ERROR if is_server_error else _STEPS.get(error.status))
        error.next_step = step or error.next_step
        raise
