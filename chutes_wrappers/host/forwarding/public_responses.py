"""Conversion of the public API's responses back to those of the service, as far as possible. Pure."""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from http.client import responses
from typing import Any

import pybase64

from chutes_wrappers.core.platform_rules import INVOCATION_HEADER
from chutes_wrappers.host.forwarding.transport import ForwardingError
from chutes_wrappers.host.forwarding.tunnel_required import TunnelRequired
from chutes_wrappers.host.platform_api.error_responses import select_call_step
from chutes_wrappers.runtime.call_errors import MAX_QUOTED_BYTES
from chutes_wrappers.runtime.tunnel_frames import Head

_BAD_REQUEST = 400
_CLIENT_STATUSES = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE,)
_LONGEST_TEXT = 500
# What the gateway adds to the media type of a response without a body, or with another status than 200.
_MARK = re.compile(r"""\s*;\s*service-response\s*=\s*"?(empty|2[0-9]{2})"?(?=\s*(?:;|$))""", re.IGNORECASE)
# The platform's API puts this before the text of an instance's 400 (PLATFORM.md, section 3).
_DETAIL_PREFIX = "Invalid request:"


def build_forwarding_error(status: int, body: bytes, invocation_id: str = "") -> ForwardingError:
    """Build the error for a call that the platform or the instance did not accept, with its ``invocation_id`` if there is one.

    A 400 and a 413 stay what they are. Any other status becomes a 502, since the client did not cause it.
    """
    detail = _parse_detail(body)
    text = str(detail["error"]) if "error" in detail else body.decode("utf-8", "replace").strip()[:_LONGEST_TEXT]
    if status == _BAD_REQUEST:
        return ForwardingError(_BAD_REQUEST, text)
    step = select_call_step(status, "CHUTE", "the API key (CHUTES_API_KEY or ~/.chutes/api_key)", text)
    name = f" ({INVOCATION_HEADER}: {invocation_id})" if invocation_id else ""
    reason = text or responses.get(status, "no text")
    client_status = status if status in _CLIENT_STATUSES else HTTPStatus.BAD_GATEWAY
    return ForwardingError(client_status, f"the platform returned {status}: {reason}{name}; {step}")


def parse_service_error(body: bytes) -> tuple[Head, bytes] | None:
    """Parse the service's error from the body of a 400; None when the 400 is not from the service.

    Raises TunnelRequired for one that is longer than the gateway quotes.
    """
    detail = _parse_detail(body)
    status = detail.get("status")
    if type(status) is not int or not 300 <= status <= 599:
        return None
    if detail.get("truncated"):
        limit = MAX_QUOTED_BYTES // 1024
        raise TunnelRequired(
            f"the service returned {status} with a body of more than {limit} KiB", status=HTTPStatus.BAD_GATEWAY
        )
    try:
        service_body = (
            pybase64.b64decode(detail["body_base64"])
            if "body_base64" in detail
            else str(detail.get("body", "")).encode()
        )
    except (binascii.Error, ValueError, TypeError):
        return None
    header_fields = {"Content-Type": detail.get("content_type"), "Location": detail.get("location")}
    headers = tuple((name, str(value)) for name, value in header_fields.items() if value)
    return Head(status=status, reason=responses.get(status, ""), headers=headers), service_body


def parse_mark(content_type: str) -> tuple[str, str]:
    """Return a response's media type without the gateway's mark, and the mark: ``empty``, a status, or nothing."""
    match = _MARK.search(content_type)
    return (_MARK.sub("", content_type), match[1].lower()) if match else (content_type, "")


def parse_empty_response(body: bytes) -> Head | None:
    """Parse the summary ``{"status": …}`` of a response that the gateway marked as empty; None for anything else."""
    fields = _parse_json(body)
    status = fields.get("status") if isinstance(fields, Mapping) else None
    if type(status) is not int or not 200 <= status <= 299:
        return None
    kind = fields.get("content_type")
    headers = (("Content-Type", str(kind)),) if kind else ()
    length = () if status == HTTPStatus.NO_CONTENT else (("Content-Length", "0"),)
    return Head(status=status, reason=responses.get(status, ""), headers=(*headers, *length))


def _parse_detail(body: bytes) -> Mapping[str, Any]:
    """Return the object in our instance's response, without FastAPI's ``{"detail": …}`` and the platform's prefix."""
    value = _parse_json(body)
    for _ in range(4):
        if isinstance(value, str):
            value = _parse_json(value.strip().removeprefix(_DETAIL_PREFIX).strip().encode())
        elif isinstance(value, Mapping) and "detail" in value and "error" not in value:
            value = value["detail"]
    return value if isinstance(value, Mapping) else {}


def _parse_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
