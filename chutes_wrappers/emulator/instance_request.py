"""Conversion of a client's request to the instance's request (PLATFORM.md, section 3, sentences 1 to 3 and 6). Pure.

All of it is (api): read from the platform's API, which may change without a new SDK.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from chutes_wrappers.core import platform_rules
from chutes_wrappers.emulator.records import ChuteRecord, CordRecord

CHUTE_DOMAINS = ("localhost", "chutes.ai")


class RequestRejected(Exception):
    """The platform rejects a call with ``status`` and ``detail``, without an instance."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True, kw_only=True)
class PreparedCall:
    """The request to an instance: ``payload`` for the path of ``cord``. ``wants_stream``: the client requested a stream."""

    cord: CordRecord
    payload: Mapping[str, Any]
    wants_stream: bool


def slug_of(host: str) -> str | None:
    """Return the slug in a Host header (``<slug>.localhost:PORT``, ``<slug>.chutes.ai``); None for any other host."""
    slug, _, domain = host.partition(":")[0].lower().partition(".")
    return slug if slug and domain in CHUTE_DOMAINS else None


def check_chute(chute: ChuteRecord) -> None:
    """Raise RequestRejected when a disabled chute, or one whose owner cannot pay, gets no calls (sentence 7)."""
    if chute.is_disabled:
        raise RequestRejected(503, f"Chute {chute.chute_id} is disabled")
    if chute.owner_balance <= 0:
        raise RequestRejected(402, f"The balance of the chute's owner is ${chute.owner_balance:.2f}, please pay in")


def prepare_call(
    chute: ChuteRecord, method: str, path: str, query: str, content_type: str, body: bytearray
) -> PreparedCall:
    """Return the call to an instance of ``chute``. Raises RequestRejected for an invalid request.

    ``body`` is empty afterwards: a large one is in memory twice at most.
    """
    # The last value of a repeated key is used.
    params = dict(parse_qsl(query, keep_blank_values=True))
    cords = [cord for cord in chute.cords if cord.public_api_path == path and cord.public_api_method.upper() == method]
    if not cords:
        raise RequestRejected(404, "No matching cord found!")
    value = {} if method in platform_rules.BODILESS_METHODS else _parse_object(content_type, body)
    wants_stream = bool(value.get("stream")) or "stream" in params
    cord = _select_cord(cords, wants_stream, is_switching=chute.standard_template is not None)
    payload = {"json": value, "params": params} if cord.passthrough else value
    return PreparedCall(cord=cord, payload=payload, wants_stream=wants_stream)


def _select_cord(cords: list[CordRecord], wants_stream: bool, *, is_switching: bool) -> CordRecord:
    """Return the first cord; for a standard template the first one that streams as requested."""
    matches = [cord for cord in cords if cord.stream == wants_stream] if is_switching else []
    return (matches or cords)[0]


def _parse_object(content_type: str, body: bytearray) -> dict[str, Any]:
    if content_type.partition(";")[0].strip().lower().startswith("multipart/"):
        raise RequestRejected(400, "Invalid request body: only JSON objects can be sent")
    try:
        text = body.decode(json.detect_encoding(body), "surrogatepass")  # as json.loads does
        body.clear()
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestRejected(400, "Invalid request body: not valid JSON") from error
    if not isinstance(value, dict):
        # The platform's code assumes an object, and fails.
        raise RequestRejected(500, "Internal Server Error")
    return value
