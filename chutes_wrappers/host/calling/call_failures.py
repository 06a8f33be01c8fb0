"""Errors for failed calls, by the status of the response (PLATFORM.md, section 3, the table of statuses). Pure."""

from __future__ import annotations

from http import HTTPStatus
from http.client import responses

from chutes_wrappers.core.platform_rules import INVOCATION_HEADER
from chutes_wrappers.host.account.credentials import KeyCredentials
from chutes_wrappers.host.forwarding.public_responses import build_forwarding_error, parse_service_error
from chutes_wrappers.host.platform_api import error_responses
from chutes_wrappers.host.platform_api.api_client import PlatformRequestFailed


def build_call_error(
    status: int, body: bytes, *, name: str, where: str, key: str | None, invocation_id: str = ""
) -> PlatformRequestFailed:
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
    detail = error_responses.format_detail(text, secrets)
    evidence = detail or "(an empty response)"
    return PlatformRequestFailed(
        what,
        status=status,
        where=where,
        evidence=f"{evidence}\n{INVOCATION_HEADER}: {invocation_id}" if invocation_id else evidence,
        next_step=error_responses.select_call_step(status, name, KeyCredentials(key="").source, detail),
    )
