"""How a call ends that did not succeed, in the few statuses that an instance may answer (PLATFORM.md, section 3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import responses
from typing import Any

from pybase64 import b64encode

CLIENT_ERROR = 400
TRY_AGAIN = 429
INSTANCE_FAILURE = 503

MAX_QUOTED_BYTES = 256 * 1024


class CallFailed(Exception):
    """A call that is answered with the status ``response_status`` and ``detail``, a JSON object whose ``error`` is a sentence.

    400 is the caller's or the service's own error and costs the instance nothing, 429 asks to try again, and 503 is a
    failure of the instance: seven in a row and the platform deletes it. Texts in ``detail`` can always be encoded as UTF-8.
    """

    def __init__(self, error: str, *, response_status: int = CLIENT_ERROR, **detail: Any) -> None:
        super().__init__(error)
        self.status = response_status
        self.detail: dict[str, Any] = {key: _make_encodable(value) for key, value in {"error": error, **detail}.items()}


def make_service_error(
    status: int, content_type: str, body: bytes, *, location: str = "", response_status: int = CLIENT_ERROR
) -> CallFailed:
    """The service's own error answer, so that the caller can read it: its status, media type, body, and ``location``.

    The body is ``body`` (text) or ``body_base64``, at most 256 KiB of it; ``truncated`` says when that is not all.
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
    message = f"the service answered {status} {responses.get(status, '')}".rstrip()
    return CallFailed(message, response_status=response_status, **detail)


def make_surrogate_error(fields: Mapping[str, Any]) -> CallFailed:
    """The refusal of a call whose ``fields`` hold half of a surrogate pair; names the first that does."""
    name = next((name for name, value in fields.items() if not _is_encodable({name: value})), "the call")
    return CallFailed(f"`{name}` holds half of a surrogate pair, which is no text: send whole characters", field=name)


def _is_encodable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    except RecursionError:  # is somebody else's complaint
        return True
    return True


def _make_encodable(value: Any) -> Any:
    # A caller's key may hold half of a surrogate pair, with which the SDK's answer would become a bare 500.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
