"""The events of a call with the header ``X-Chutes-Trace: true`` (PLATFORM.md, section 3, sentence 9). Pure.

The frame of an event is what the SDK parses (``chute/cord.py``, ``_local_stream_call``): ``{"trace": {"timestamp", "message",
…}}``, and ``{"error": …}`` at the end of a failed call. The other keys are not known. The instance's body is not in it.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone


def build_trace_event(message: str, **fields: object) -> bytes:
    """Build one event of the stream. ``fields`` without a value are left out."""
    timestamp = datetime.now(timezone.utc).isoformat()
    present = {name: value for name, value in fields.items() if value is not None}
    return _encode({"trace": {"timestamp": timestamp, **present, "message": message}})


def build_error_event(body: bytes) -> bytes:
    """Build the last event of a call that failed with ``body``, a response ``{"detail": …}``."""
    return _encode({"error": json.loads(body)["detail"]})


def _encode(value: object) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()
