"""What an answer's bytes are, by their media type. Pure."""

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
    """``value`` is what the JSON holds, the text, or the bytes themselves."""

    kind: Literal["json", "text", "binary"]
    value: Any


def parse_content(content_type: str, data: bytes) -> Content:
    """The content of an answer. JSON that is none counts as text, text that is none as binary."""
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
    """The error that the last event of a stream tells of, as the gateway ends one that the service broke off."""
    last = tail.rstrip().rpartition(b"\n")[2].removeprefix(b"data:").strip()
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(last)
        if isinstance(value, dict) and set(value) == {"error"}:
            return str(value["error"])
    return None


def _reject_constant(constant: str) -> None:
    """NaN and the infinities, which Python writes and no other reader of JSON takes."""
    raise ValueError(constant)
