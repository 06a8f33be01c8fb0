"""Errors for failed calls, by the status of the response (PLATFORM.md, section 3, the table of statuses). Pure."""

from __future__ import annotations

from http import HTTPStatus
from http.client import responses

from chutes_wrappers.host.account.credentials import KeyCredentials
from chutes_wrappers.host.forwarding.public_responses import build_forwarding_error, parse_service_error
from chutes_wrappers.host.platform_api import error_responses
from chutes_wrappers.host.platform_api.api_client import PlatformRequestFailed

_NEXT_STEPS = {
    400: 'correct the body: the README\'s "Calling a chute" describes what each kind of route accepts',
    401: "check {key}: it may be another account's, or lack the permission to invoke this chute",
    402: "check the balance with --account, and pay in",
    403: "check the permissions of {key}, or ask the chute's owner to share it with --share",
    404: "check its public paths with --status {name}; deploy the module again if the path is new",
    429: "try again: every instance is at its concurrency limit, or the service is still starting "
    "(--warmup {name} waits for it)",
    500: "check --status {name} and --logs {name}, or start an instance with --warmup {name}: the instance failed, or the "
    "platform does not accept its response",
    503: "start an instance with --warmup {name}, which reports why one does not start: no instance accepted the call",
}
_SERVER_ERROR_STEP = "check --status {name}, then call again: the platform failed, or has no instance"


def build_call_error(status: int, body: bytes, *, name: str, where: str, key: str | None) -> PlatformRequestFailed:
    """Build the error for a response with ``status`` to a call of the chute ``name``; ``key`` is masked everywhere."""
    secrets = (key,) if key else ()
    phrase = responses.get(status, "")
    what = f"the call failed with status {status}" + (f" ({phrase})" if phrase else "")
    text = body.decode("utf-8", "replace")
    if status == HTTPStatus.BAD_REQUEST:
        if (error := parse_service_error(body)) is not None:
            head, service_body = error
            what = f"the service in the chute returned {head.status} ({head.reason or 'a status of its own'})"
            text = service_body.decode("utf-8", "replace")
        else:
            text = build_forwarding_error(status, body).text
    return PlatformRequestFailed(
        what,
        status=status,
        where=where,
        evidence=error_responses.format_detail(text, secrets) or "(an empty response)",
        next_step=_select_next_step(status, name),
    )


def _select_next_step(status: int, name: str) -> str:
    step = _NEXT_STEPS.get(status) or (
        _SERVER_ERROR_STEP if status >= 500 else error_responses.select_next_step(status, _find_key_source())
    )
    return step.format(name=name, key=_find_key_source())


def _find_key_source() -> str:
    return KeyCredentials(key="").source
