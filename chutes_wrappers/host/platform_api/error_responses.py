"""Error responses of the API: their detail, shortened, and the next step by status. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import unescape
from typing import Any
from urllib.parse import quote, quote_plus

from chutes_wrappers.core.platform_checks import describe_body_limit
from chutes_wrappers.core.platform_rules import (
    DISABLE_S,
    FAILURES_TO_DISABLE,
    MAX_BUILDS_PER_DAY,
    MAX_VERSIONS_PER_DAY,
    NONCE_WINDOW_S,
)
from chutes_wrappers.core.text import clean_text

_LONGEST_DETAIL = 400
_MARKUP = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title\s*>", re.IGNORECASE | re.DOTALL)
_HIDDEN = "••••"

_STEPS = {
    400: "correct what the message names, then run the command again",
    401: f"check {{credentials}}, and this machine's clock: the platform rejects a signature that is {NONCE_WINDOW_S} s off",
    402: "check the balance with --account, and pay in",
    403: "check the permissions of {credentials}: --account shows them",
    404: "check the name: --list-chutes and --list-images show all names",
    409: "check what exists with --status, --list-images or --list-chutes",
    422: "correct the fields that the message names, then run the command again",
    429: f"wait, then run the command again. A day has at most {MAX_BUILDS_PER_DAY} builds, and {MAX_VERSIONS_PER_DAY} "
    "creations, updates and deletions of chutes",
}
_SERVER_ERROR = "try again later, and check the result with --status: the platform failed"
_UNEXPECTED = "check that the API URL (base_url in the account's file, or CHUTES_API_URL) is the platform's"
# Of calls to a chute, where they differ (PLATFORM.md, section 3, the table of statuses).
_CALL_STEPS = {
    400: 'correct the body: the README\'s "Calling a chute" describes what each kind of route accepts',
    401: "check {credentials}: it may be another account's, or lack the permission to invoke this chute",
    403: "check the permissions of {credentials}, or ask the chute's owner to share it with --share",
    404: "check the public paths with --status {chute}; deploy the module again if it is not deployed, or the path is new",
    402: "pay in, or ask the chute's owner to: the owner pays for every call. --account shows the balance and its address",
    413: f"send less: the newest platform accepts {describe_body_limit()}. Send a part of the file, or let the service fetch it "
    "from an address",
    429: f"call again later. Every instance is at its concurrency limit, disabled for {DISABLE_S:g} s or more after "
    f"{FAILURES_TO_DISABLE} failures in a row, or still starting. See --status {{chute}}; --warmup {{chute}} waits for one",
    500: "check --status {chute} and --logs {chute}, or start an instance with --warmup {chute}: the instance failed, or the "
    "platform does not accept its response",
    503: "start an instance with --warmup {chute}, which reports why one does not start: no instance accepted the call",
}
# By a pattern in the platform's text, where one status has several reasons. For calls, and for --warmup.
_REASON_STEPS = (
    (403, "banned secret", "use another name for the secret: the platform does not accept this one"),
    (503, "disabled", "ask the chute's owner to enable it: nothing starts an instance of a disabled chute. The owner can send "
    'PUT /chutes/CHUTE_ID with {{"disabled": false}} to the API'),
    (503, "no instances", "call again in some minutes: this call requested an instance, and --warmup {chute} waits for it and "
    "reports why it does not start"),
    (429, "spam|identical|duplicate", "wait, or change the body: the platform limits repeated identical calls"),
)  # fmt: skip
_CALL_SERVER_ERROR = "check --status {chute}, then call again: the platform failed, or has no instance"


def format_detail(text: str, secrets: Sequence[str] = ()) -> str:
    """Format the ``text`` of a response (the API's ``{"detail": …}``, a page, or plain text) as one line without ``secrets``."""
    detail = mask_secrets(clean_text(_extract_detail(text)), secrets)
    detail = re.sub(r" {2,}", " ", detail)
    return detail if len(detail) <= _LONGEST_DETAIL else detail[: _LONGEST_DETAIL - 1].rstrip() + "…"


def mask_secrets(text: str, secrets: Sequence[str]) -> str:
    """Return ``text`` with ``secrets`` masked, also where they are URL-encoded."""
    for secret in filter(None, secrets):
        for encoded in (secret, quote(secret, safe=""), quote_plus(secret)):
            text = text.replace(encoded, _HIDDEN)
    return text


def mask_secret_bytes(data: bytes, secret: str | None) -> bytes:
    """Return ``data`` with ``secret`` masked, if there is one."""
    return data.replace(secret.encode(), _HIDDEN.encode()) if secret else data


def select_next_step(status: int, credentials: str, detail: str = "") -> str:
    """Return the next step for a response with ``status`` and ``detail``; ``credentials`` names those of the request."""
    if step := _find_reason_step(status, detail):
        return step.format(chute="CHUTE")
    if status >= 500:
        return _SERVER_ERROR
    return _STEPS.get(status, _UNEXPECTED).format(credentials=credentials)


def select_call_step(status: int, chute: str, credentials: str, detail: str = "") -> str:
    """Return the next step for a call to ``chute`` with a response of ``status`` and ``detail``.

    ``credentials`` names the API key.
    """
    step = _find_reason_step(status, detail) or _CALL_STEPS.get(status)
    step = step or (_CALL_SERVER_ERROR if status >= 500 else _STEPS.get(status, _UNEXPECTED))
    return step.format(chute=chute, credentials=credentials)


def _find_reason_step(status: int, detail: str) -> str | None:
    steps = (step for number, pattern, step in _REASON_STEPS if number == status and re.search(pattern, detail, re.I))
    return next(steps, None)


def _extract_detail(text: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _extract_text(text)
    detail = value.get("detail", value) if isinstance(value, dict) else value
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list):
        return "; ".join(map(_format_validation_error, detail))
    return json.dumps(detail)


def _format_validation_error(error: Any) -> str:
    """Format one of FastAPI's validation errors, ``{"loc": ["body", "name"], "msg": …}``, without its input."""
    if not isinstance(error, dict) or "msg" not in error:
        return str(error)
    location = ".".join(str(part) for part in error.get("loc", ()) if part != "body")
    return f"{location}: {error['msg']}" if location else str(error["msg"])


def _extract_text(text: str) -> str:
    if "<" not in text:
        return text
    title = _TITLE.search(text)
    return unescape(title[1] if title else _MARKUP.sub(" ", text))
