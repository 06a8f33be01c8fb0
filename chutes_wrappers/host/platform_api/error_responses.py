"""What the API says when it does not do what it was asked: its own words, shortened, and what to do about them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import unescape
from typing import Any
from urllib.parse import quote, quote_plus

_LONGEST_DETAIL = 400
_MARKUP = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title\s*>", re.IGNORECASE | re.DOTALL)
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\U0010ffff]+")
_HIDDEN = "••••"

NEXT_STEPS = {
    400: "correct what it names, then run the command again",
    401: "check {credentials}, and this machine's clock: the platform takes no signature that is ten minutes off",
    402: "see the balance with --account, and pay in",
    403: "check what {credentials} may do: --account shows its permissions",
    404: "check the name: --list-chutes and --list-images show what there is",
    409: "look at what is there with --status, --list-images or --list-chutes",
    422: "correct the fields that it names, then run the command again",
    429: "wait: the platform limits requests, and builds and versions by the day; then run the command again",
}
_SERVER_FAULT = "the fault is the platform's: try again later, and look with --status what came of it"
_UNEXPECTED = "check that the API's address (base_url in the account's file, or CHUTES_API_URL) is the platform's"


def format_detail(text: str, secrets: Sequence[str] = ()) -> str:
    """What an answer's ``text`` says (the API's ``{"detail": …}``, a page, or words), in one line without ``secrets``."""
    detail = mask_secrets(_UNPRINTABLE.sub(" ", _extract_detail(text)).strip(), secrets)
    detail = re.sub(r" {2,}", " ", detail)
    return detail if len(detail) <= _LONGEST_DETAIL else detail[: _LONGEST_DETAIL - 1].rstrip() + "…"


def mask_secrets(text: str, secrets: Sequence[str]) -> str:
    """``text`` without ``secrets``, as they are and as addresses have them."""
    for secret in filter(None, secrets):
        for encoded in (secret, quote(secret, safe=""), quote_plus(secret)):
            text = text.replace(encoded, _HIDDEN)
    return text


def mask_secret_bytes(data: bytes, secret: str | None) -> bytes:
    """``data`` without ``secret``, if there is one."""
    return data.replace(secret.encode(), _HIDDEN.encode()) if secret else data


def select_next_step(status: int, credentials: str) -> str:
    """What a user should do about an answer with ``status``; ``credentials`` names what the request was made with."""
    if status >= 500:
        return _SERVER_FAULT
    return NEXT_STEPS.get(status, _UNEXPECTED).format(credentials=credentials)


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
    """One of FastAPI's validation errors, ``{"loc": ["body", "name"], "msg": …}``, without the input that it quotes."""
    if not isinstance(error, dict) or "msg" not in error:
        return str(error)
    location = ".".join(str(part) for part in error.get("loc", ()) if part != "body")
    return f"{location}: {error['msg']}" if location else str(error["msg"])


def _extract_text(text: str) -> str:
    if "<" not in text:
        return text
    title = _TITLE.search(text)
    return unescape(title[1] if title else _MARKUP.sub(" ", text))
