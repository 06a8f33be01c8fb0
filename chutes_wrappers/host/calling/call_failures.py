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
    text, service_status = body.decode("utf-8", "replace"), None
    if status == HTTPStatus.BAD_REQUEST:
        if (error := parse_service_error(body)) is not None:
            head, service_body = error
            verb = "failed with" if _is_failure(head.status) else "returned"
            what = f"the service in the chute {verb} {head.status} ({head.reason or 'a status of its own'})"
            text, service_status = service_body.decode("utf-8", "replace"), head.status
        else:
            text = build_forwarding_error(status, body).text
    detail = error_responses.format_detail(text, secrets)
    evidence = detail or "(an empty response)"
    return PlatformRequestFailed(
        what,
        status=status,
        where=where,
        evidence=f"{evidence}\n{INVOCATION_HEADER}: {invocation_id}" if invocation_id else evidence,
        next_step=_select_service_step(service_status, name)
        or error_responses.select_call_step(status, name, KeyCredentials(key="").source, detail),
    )


def _select_service_step(status: int | None, name: str) -> str | None:
    """Return the next step for an error of the service in the chute; None if the body of the call may be the reason."""
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return (
            "give the service's own credentials, which are missing or wrong. A field of the call may carry them, such as "
            "X-API-Key, or Authorization with the whole value. Otherwise set CHUTE_HEADERS in the module, and "
            f"--secret {name} NAME"
        )
    if status is not None and _is_failure(status):
        return f"read with --logs {name} why the service failed: it accepted the call"
    if status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        return "correct the media type of the route's request in the module, or send the content_type that the service takes"
    return None


def _is_failure(status: int) -> bool:
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED
