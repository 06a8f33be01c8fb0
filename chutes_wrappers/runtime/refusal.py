"""How a call ends that did not succeed, in the few statuses that an instance may answer (PLATFORM.md, section 3)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pybase64 import b64encode

CLIENT_ERROR = 400
TRY_AGAIN = 429
INSTANCE_FAILURE = 503

LARGEST_QUOTED_BYTES = 256 * 1024


class CallRefused(Exception):
    """A call that is answered with the status ``answer_with`` and ``detail``, a JSON object whose ``error`` is a sentence.

    400 is the caller's or the service's own error and costs the instance nothing, 429 asks to try again, and 503 is a
    failure of the instance: seven in a row and the platform deletes it.
    """

    def __init__(self, error: str, *, answer_with: int = CLIENT_ERROR, **detail: Any) -> None:
        super().__init__(error)
        self.status = answer_with
        self.detail: dict[str, Any] = {"error": error, **detail}


def service_error(
    status: int, content_type: str, body: bytes, *, location: str = "", answer_with: int = CLIENT_ERROR
) -> CallRefused:
    """The service's own error answer, so that the caller can read it: its status, media type, body, and ``location``.

    The body is ``body`` (text) or ``body_base64``, at most 256 KiB of it; ``truncated`` says when that is not all.
    """
    quoted = body[:LARGEST_QUOTED_BYTES]
    detail: dict[str, Any] = {"status": status, "content_type": content_type}
    try:
        detail["body"] = quoted.decode("utf-8")
    except UnicodeDecodeError:
        detail["body_base64"] = b64encode(quoted).decode("ascii")
    if location:
        detail["location"] = location
    if len(body) > len(quoted):
        detail["truncated"] = True
    return CallRefused(f"the service answered {status} {_phrase(status)}".rstrip(), answer_with=answer_with, **detail)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
