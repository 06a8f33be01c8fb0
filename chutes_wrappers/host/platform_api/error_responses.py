"""Error responses of the API: their reasons, shortened, and the next step by status. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
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
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.core.text import clean_text

_LONGEST_DETAIL = 400
# Of a reason with several lines: a fee notice, or what a code review found.
_MOST_LINES = 40
_LONGEST_REASON = 4000
_MOST_LEVELS = 8
# Of a response: the API's longest reasons have some kilobytes. The patterns below are quadratic in the length of a page.
_LONGEST_TEXT = 128 * 1024
_LONGEST_PAGE = 8 * 1024
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
_READ_ERROR = "try again later: the platform failed"
_READ_LIMIT = "wait some minutes, then run the command again: the platform limits requests"
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
    f"{FAILURES_TO_DISABLE} failures in a row, or still starting: --status {{chute}} shows which",
    500: "check --status {chute} and --logs {chute}, or start an instance with --warmup {chute}: the instance failed, or the "
    "platform does not accept its response",
    503: "start an instance with --warmup {chute}, which reports why one does not start: no instance accepted the call",
}
# By a pattern in the platform's text, where one status has several reasons. For calls, and for --warmup.
_REASON_STEPS = (
    (403, "banned secret", "use another name for the secret: the platform does not accept this one"),
    (403, "immutable", "deploy it under another CHUTE_NAME, or delete it with --delete: nobody can change an immutable chute"),
    (503, "disabled", "enable it with --enable {chute}, or ask its owner to: nothing starts an instance of a disabled chute"),
    (503, "no instances", "call again in some minutes: this call requested an instance, and --warmup {chute} waits for it and "
    "reports why it does not start"),
    (429, "spam|identical|duplicate", "wait, or change the body: the platform limits repeated identical calls"),
)  # fmt: skip
_UNKNOWN_ACCOUNT = "could not find user|can't find a user"
# Of requests to the API itself: reasons of a 401 (api-observed 2, 15, 17 and 18).
_API_REASON_STEPS = (
    (401, _UNKNOWN_ACCOUNT, f"register the account or link it with {NAMES.account}, or set "
    "CHUTES_CONFIG_PATH to the file of one that this API knows: it does not know {credentials}"),
    (401, "invalid nonce", "set this machine's clock: the platform rejects a signature that is "
    f"{NONCE_WINDOW_S} s off"),
    (401, "^authentication required", f"{_UNEXPECTED}: it returns this for a path that it does not have. If it is, check "
    "{credentials}"),
)  # fmt: skip
_CALL_SERVER_ERROR = "check --status {chute}, then call again: the platform failed, or has no instance"


def format_detail(text: str, secrets: Sequence[str] = ()) -> str:
    """Format the ``text`` of a response (the API's ``{"detail": …}``, a page, or plain text) as one line without ``secrets``."""
    detail = mask_secrets(clean_text("; ".join(_list_reasons(text)).replace(":; ", ": ")), secrets)
    return _shorten(re.sub(r" {2,}", " ", detail), _LONGEST_DETAIL)


def format_reason(text: str, secrets: Sequence[str] = ()) -> str:
    """Format the ``text`` of a response, or what the SDK printed of one, as a bounded number of lines without ``secrets``.

    JSON in it is unpacked, also inside its texts: every reason of a list, and every line of a text, is one line.
    """
    masked = (mask_secrets(reason, secrets) for reason in _list_reasons(text))
    cleaned = (re.sub(r" {2,}", " ", clean_text(line)) for reason in masked for line in reason.splitlines())
    lines = [_shorten(line, _LONGEST_REASON // 4) for line in cleaned if line]
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES - 1 :] = [f"… and {len(lines) - _MOST_LINES + 1} more lines"]
    return _shorten("\n".join(lines), _LONGEST_REASON)


def _shorten(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def mask_secrets(text: str, secrets: Sequence[str]) -> str:
    """Return ``text`` with ``secrets`` masked, also where they are URL-encoded, or escaped in JSON."""
    for secret in filter(None, secrets):
        for encoded in (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]):
            text = text.replace(encoded, _HIDDEN)
    return text


def mask_secret_bytes(data: bytes, secret: str | None) -> bytes:
    """Return ``data`` with ``secret`` masked, if there is one."""
    return data.replace(secret.encode(), _HIDDEN.encode()) if secret else data


def select_next_step(status: int, credentials: str, detail: str = "", *, is_read: bool = False) -> str:
    """Return the next step for a response with ``status`` and ``detail``; ``credentials`` names those of the request.

    ``is_read``: the request changes nothing.
    """
    if step := _find_reason_step(status, detail, (*_REASON_STEPS, *_API_REASON_STEPS)):
        return step.format(chute="CHUTE", credentials=credentials)
    if status >= 500:
        return _READ_ERROR if is_read else _SERVER_ERROR
    if status == 429 and is_read:
        return _READ_LIMIT
    return _STEPS.get(status, _UNEXPECTED).format(credentials=credentials)


def is_unknown_account(status: int, detail: str) -> bool:
    """Return whether the API says that it knows no account of this hotkey or key."""
    return _find_reason_step(status, detail, ((401, _UNKNOWN_ACCOUNT, "unknown"),)) is not None


def select_call_step(status: int, chute: str, credentials: str, detail: str = "") -> str:
    """Return the next step for a call to ``chute`` with a response of ``status`` and ``detail``.

    ``credentials`` names the API key.
    """
    step = _find_reason_step(status, detail) or _CALL_STEPS.get(status)
    step = step or (_CALL_SERVER_ERROR if status >= 500 else _STEPS.get(status, _UNEXPECTED))
    return step.format(chute=chute, credentials=credentials)


def _find_reason_step(status: int, detail: str, reasons: Sequence[tuple[int, str, str]] = _REASON_STEPS) -> str | None:
    steps = (step for number, pattern, step in reasons if number == status and re.search(pattern, detail, re.I))
    return next(steps, None)


def _list_reasons(text: str) -> list[str]:
    """Return the texts of a response. ``text`` may begin with other words, as the SDK prints it: ``Unexpected error …: {…}``."""
    text = text[:_LONGEST_TEXT]
    start = next((at for at in map(text.find, '"{[') if at >= 0 and _parse_structure(text[at:]) is not None), None)
    if start is None:
        return [_extract_text(text)]
    head = text[:start].strip()
    reasons = [reason for reason in _flatten(text[start:], _MOST_LEVELS) if reason.strip()]
    if head and len(reasons) == 1:
        return [f"{head} {reasons[0]}"]
    return [head, *reasons] if head else reasons


def _parse_structure(text: str) -> dict[str, Any] | list[Any] | str | None:
    """Return the JSON object, list or text that ``text`` is, or None."""
    try:
        value = json.loads(text) if text.lstrip().startswith(("{", "[", '"')) else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list | str) else None


def _flatten(value: Any, levels: int) -> Iterator[str]:
    """Yield the texts in a value of JSON, each with the names that lead to it; at most ``levels`` objects deep."""
    nested = _parse_structure(value) if isinstance(value, str) else None
    if nested is not None and levels:
        yield from _flatten(nested.get("detail", nested) if isinstance(nested, dict) else nested, levels - 1)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, list) and levels:
        for item in value:
            if isinstance(item, dict) and "msg" in item:
                yield _format_validation_error(item)
            else:
                yield from _flatten(item, levels - 1)
    elif isinstance(value, dict) and levels and _has_text(value):
        yield from _flatten_names(value, levels - 1)
    else:
        yield _format_value(value)


def _format_value(value: Any) -> str:
    try:
        return json.dumps(value)
    except RecursionError:
        return "…"


def _flatten_names(value: Mapping[str, Any], levels: int) -> Iterator[str]:
    for name, item in value.items():
        for text in _flatten(item, levels):
            yield f"{name}: {text}"


def _has_text(value: Mapping[str, Any]) -> bool:
    return any(isinstance(item, str | list | dict) and item for item in value.values())


def _format_validation_error(error: Mapping[str, Any]) -> str:
    """Format one of FastAPI's validation errors, ``{"loc": ["body", "name"], "msg": …}``, without its input."""
    location = ".".join(str(part) for part in _as_list(error.get("loc")) if part != "body")
    return f"{location}: {error['msg']}" if location else str(error["msg"])


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _extract_text(text: str) -> str:
    if "<" not in text:
        return text
    text = text[:_LONGEST_PAGE]
    title = _TITLE.search(text)
    return unescape(title[1] if title else _MARKUP.sub(" ", text))
