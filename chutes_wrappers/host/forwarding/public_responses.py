"""What the platform's public API answers → what the service had answered, as far as it can be told. Pure."""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping
from http import HTTPStatus
from http.client import responses
from typing import Any

import pybase64

from chutes_wrappers.host.forwarding.transport import NotCarried
from chutes_wrappers.runtime.tunnel_frames import Head

_REFUSED = 400
_LONGEST_QUOTE = 500
# How the platform's API wraps the text of an instance's 400 (PLATFORM.md, section 3).
_WRAPPING = "Invalid request:"


def explained(status: int, body: bytes) -> NotCarried:
    """Why the platform, or the instance, did not carry a call: a 400 stays one, anything else is none of the client's."""
    detail = _detail(body)
    text = str(detail["error"]) if "error" in detail else body.decode("utf-8", "replace").strip()[:_LONGEST_QUOTE]
    if status == _REFUSED:
        return NotCarried(_REFUSED, text)
    hint = {
        401: "is the API key right? CHUTES_API_KEY or ~/.chutes/api_key",
        402: "the account's balance does not cover the call",
        403: "the API key may not call this chute",
        404: "the chute is not deployed, or has no such path: deploy the module as it is now",
    }.get(status, "see the chute's status and its logs")
    return NotCarried(502, f"the platform answered {status}: {text or responses.get(status, 'no text')}; {hint}")


def service_error(body: bytes) -> tuple[Head, bytes] | None:
    """The service's own error in the body of a 400; None when the 400 is somebody else's."""
    detail = _detail(body)
    status = detail.get("status")
    if not isinstance(status, int) or not 300 <= status <= 599:
        return None
    try:
        quoted = (
            pybase64.b64decode(detail["body_base64"])
            if "body_base64" in detail
            else str(detail.get("body", "")).encode()
        )
    except (binascii.Error, ValueError, TypeError):
        return None
    fields = {"Content-Type": detail.get("content_type"), "Location": detail.get("location")}
    headers = tuple((name, str(value)) for name, value in fields.items() if value)
    return Head(status=status, reason=responses.get(status, ""), headers=headers), quoted


def empty_answer(content_type: str, body: bytes) -> Head | None:
    """The head of an answer without a body, which the gateway writes as ``{"status": …}``; None for any other answer."""
    if not content_type.startswith("application/json") or len(body) > _LONGEST_QUOTE:
        return None
    fields = _parsed(body)
    status = fields.get("status") if isinstance(fields, Mapping) else None
    if type(status) is not int or not 200 <= status <= 299 or set(fields) - {"status", "content_type"}:
        return None
    kind = fields.get("content_type")
    headers = (("Content-Type", str(kind)),) if kind else ()
    length = () if status == HTTPStatus.NO_CONTENT else (("Content-Length", "0"),)
    return Head(status=status, reason=responses.get(status, ""), headers=(*headers, *length))


def _detail(body: bytes) -> Mapping[str, Any]:
    """The object that our instance answered with, through FastAPI's ``{"detail": …}`` and the platform's wrapping."""
    value = _parsed(body)
    for _ in range(4):
        if isinstance(value, str):
            value = _parsed(value.strip().removeprefix(_WRAPPING).strip().encode())
        elif isinstance(value, Mapping) and "detail" in value and "error" not in value:
            value = value["detail"]
    return value if isinstance(value, Mapping) else {}


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
