"""The content of a response, by its media type. Pure."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import Any, Literal

STREAM_TYPE = "text/event-stream"
LONGEST_LAST_EVENT_BYTES = 4096
_TEXT_TYPES = frozenset(
    {"application/xml", "application/x-ndjson", "application/jsonl", "application/yaml", "application/javascript"}
)


@dataclass(frozen=True, kw_only=True)
class Content:
    """``value`` is the parsed JSON, the text, or the bytes themselves."""

    kind: Literal["json", "text", "binary"]
    value: Any


def parse_content(content_type: str, data: bytes) -> Content:
    """Return the content of a response. Invalid JSON counts as text, and invalid text as binary."""
    kind = content_type.partition(";")[0].strip().lower()
    is_json = kind == "application/json" or kind.endswith("+json")
    if is_json:
        with contextlib.suppress(ValueError, RecursionError):
            return Content(kind="json", value=json.loads(data, parse_constant=_reject_constant))
    if is_json or not kind or kind.startswith("text/") or kind in _TEXT_TYPES:
        with contextlib.suppress(UnicodeDecodeError):
            return Content(kind="text", value=data.decode())
    return Content(kind="binary", value=data)


def parse_stream_error(tail: bytes) -> str | None:
    """Return the error in the last event of a stream, or None.

    The gateway sends such an event when the service closes the connection early.
    """
    last = tail.rstrip().rpartition(b"\n")[2].removeprefix(b"data:").strip()
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(last)
        if isinstance(value, dict) and set(value) == {"error"}:
            return str(value["error"])
    return None


def _reject_constant(constant: str) -> None:
    """Reject NaN and the infinities, which Python accepts, but no other JSON parser."""
    raise ValueError(constant)
