"""Failed calls, with one of the few statuses that an instance may return (PLATFORM.md, section 3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import responses
from typing import Any

from pybase64 import b64encode

from chutes_wrappers.core import platform_rules

CLIENT_ERROR = platform_rules.BAD_REQUEST
TRY_AGAIN = platform_rules.RATE_LIMITED
INSTANCE_FAILURE = 503

MAX_QUOTED_BYTES = 256 * 1024


class CallFailed(Exception):
    """A call that ends with the status ``response_status`` and ``detail``, a JSON object whose ``error`` is a sentence.

    400 is an error of the caller or the service, which does not count against the instance. 429 asks the caller to retry.
    503 is a failure of the instance: after seven in a row the platform disables it for a while. Texts in ``detail`` can
    always be encoded as UTF-8.
    """

    def __init__(self, error: str, *, response_status: int = CLIENT_ERROR, **detail: Any) -> None:
        super().__init__(error)
        self.status = response_status
        self.detail: dict[str, Any] = {key: _make_encodable(value) for key, value in {"error": error, **detail}.items()}


def make_service_error(
    status: int, content_type: str, body: bytes, *, location: str = "", response_status: int = CLIENT_ERROR
) -> CallFailed:
    """Return an error with the service's error response for the caller: its status, media type, body, and ``location``.

    The body is in ``body`` (text) or ``body_base64``, at most 256 KiB of it; ``truncated`` is set if it is longer.
    """
    quoted = body[:MAX_QUOTED_BYTES]
    detail: dict[str, Any] = {"status": status, "content_type": content_type}
    try:
        detail["body"] = quoted.decode("utf-8")
    except UnicodeDecodeError:
        detail["body_base64"] = b64encode(quoted).decode("ascii")
    if location:
        detail["location"] = location
    if len(body) > len(quoted):
        detail["truncated"] = True
    message = f"the service returned {status} {responses.get(status, '')}".rstrip()
    return CallFailed(message, response_status=response_status, **detail)


def make_surrogate_error(fields: Mapping[str, Any]) -> CallFailed:
    """Return the error for a call whose ``fields`` contain an unpaired surrogate; it names the first such field."""
    name = next((name for name, value in fields.items() if not _is_encodable({name: value})), "the call")
    return CallFailed(
        f"`{name}` contains an unpaired surrogate, which is not valid text: send whole characters", field=name
    )


def _is_encodable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    except RecursionError:  # the encoder reports it
        return True
    return True


def _make_encodable(value: Any) -> Any:
    # A caller's key may contain an unpaired surrogate, with which the SDK would return a bare 500.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
