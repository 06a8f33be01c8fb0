"""What the platform's answer to a call means when it is not 200 (PLATFORM.md, section 3, the table of statuses). Pure."""

from __future__ import annotations

from http import HTTPStatus
from http.client import responses

from chutes_wrappers.host.account.credentials import KeyCredentials
from chutes_wrappers.host.forwarding.public_responses import build_forwarding_error, parse_service_error
from chutes_wrappers.host.platform_api import error_responses
from chutes_wrappers.host.platform_api.api_client import PlatformRequestFailed

_NEXT_STEPS = {
    400: 'correct the body: the README\'s "Calling a chute" says what each kind of route takes',
    401: "check {key}: it may be another account's, or may not invoke this chute",
    402: "see the balance with --account, and pay in",
    403: "check what {key} may do; its owner gives you the chute with --share",
    404: "see its public paths with --status {name}; deploy the module again if the path is new",
    429: "try again: every instance has as many calls as its concurrency allows, or the service is still starting "
    "(--warmup {name} waits for it)",
    500: "the instance failed, or answered what the platform does not pass on: look with --status {name} and --logs {name}; "
    "--warmup {name} starts an instance where there is none",
    503: "no instance took the call: --warmup {name} starts one and says why it does not come",
}
_SERVER_ERROR_STEP = "the platform is not well, or has no instance: look with --status {name}, then call again"


def build_call_error(status: int, body: bytes, *, name: str, where: str, key: str | None) -> PlatformRequestFailed:
    """The error for an answer with ``status`` to a call of the chute ``name``; ``key`` is shown in none of it."""
    secrets = (key,) if key else ()
    phrase = responses.get(status, "")
    what = f"the call was answered {status}" + (f" ({phrase})" if phrase else "")
    text = body.decode("utf-8", "replace")
    if status == HTTPStatus.BAD_REQUEST:
        if (error := parse_service_error(body)) is not None:
            head, service_body = error
            what = f"the service in the chute answered {head.status} ({head.reason or 'its own status'})"
            text = service_body.decode("utf-8", "replace")
        else:
            text = build_forwarding_error(status, body).text
    return PlatformRequestFailed(
        what,
        status=status,
        where=where,
        evidence=error_responses.format_detail(text, secrets) or "(an empty answer)",
        next_step=_select_next_step(status, name),
    )


def _select_next_step(status: int, name: str) -> str:
    step = _NEXT_STEPS.get(status) or (
        _SERVER_ERROR_STEP if status >= 500 else error_responses.select_next_step(status, _find_key_source())
    )
    return step.format(name=name, key=_find_key_source())


def _find_key_source() -> str:
    return KeyCredentials(key="").source
