"""What an instance answers → what the client sees (PLATFORM.md, section 3, sentences 4 to 7)."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from chutes_wrappers.core import platform_rules
from chutes_wrappers.emulator.transport import InstanceResponse, InvalidResponse

NO_INFRASTRUCTURE = "No infrastructure available to serve request"
AT_CAPACITY = "Infrastructure is at maximum capacity, try again later"
_JSON = "application/json"
_MAX_QUOTED_LENGTH = 300


class InstanceFailed(Exception):
    """The call counts against the instance; the text says why."""


class InstanceOutdated(Exception):
    """The instance answered 426: the platform deletes it at once."""


@dataclass(frozen=True, kw_only=True)
class ClientResponse:
    """Status, media type (None: none) and body; of an instance's answer no header survives."""

    status: int
    media_type: str | None
    body: bytes


def make_error_response(status: int, detail: str) -> ClientResponse:
    """An answer of the platform's own."""
    return ClientResponse(status=status, media_type=_JSON, body=json.dumps({"detail": detail}).encode())


async def translate_error(response: InstanceResponse) -> ClientResponse | None:
    """What the client sees of an answer that is no success; None for one that is.

    Raises InstanceFailed or InstanceOutdated for what is counted against the instance.
    """
    if platform_rules.is_success_status(response.status):
        return None
    if response.status == platform_rules.BAD_REQUEST:
        return make_error_response(400, f"Invalid request: {await response.read_text()}")
    if response.status == platform_rules.RATE_LIMITED:
        return make_error_response(429, AT_CAPACITY)
    if response.status == platform_rules.UPGRADE_REQUIRED:
        raise InstanceOutdated
    raise InstanceFailed(
        f"the instance answered {response.status}: {(await response.read_text())[:_MAX_QUOTED_LENGTH]}"
    )


async def read_plain_response(response: InstanceResponse) -> ClientResponse:
    """The answer of a cord that does not stream; InstanceFailed when it cannot be read."""
    try:
        value = await response.read_value()
    except InvalidResponse as error:
        raise InstanceFailed(str(error)) from error
    if "body" in value:
        # The status and the headers that the handler set are in there too; the platform uses neither.
        return ClientResponse(status=200, media_type=value.get("media_type"), body=value["body"])
    try:
        decoded = json.loads(value["json"])
    except (ValueError, RecursionError) as error:
        raise InstanceFailed("the answer that a passthrough cord carried is not JSON") from error
    return ClientResponse(status=200, media_type=_JSON, body=_dump_json(decoded))


async def read_chunks(response: InstanceResponse) -> AsyncGenerator[bytes, None]:
    """The chunks of a stream as they come; InstanceFailed for one that is not encrypted as it must be, or not UTF-8."""
    try:
        async for chunk in response.read_chunks():
            chunk.decode("utf-8")
            yield chunk
    except InvalidResponse as error:
        raise InstanceFailed(f"the stream broke: {error}") from error
    except UnicodeDecodeError as error:
        raise InstanceFailed("the stream broke: a chunk is not UTF-8") from error


def _dump_json(value: object) -> bytes:
    # As the API's framework writes JSON: compact, and not escaped.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
