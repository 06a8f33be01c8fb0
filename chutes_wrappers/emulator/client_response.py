"""Conversion of an instance's response to the client's response (PLATFORM.md, section 3, sentences 4 to 7)."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.emulator.transport import InstanceResponse, InvalidResponse

NO_INFRASTRUCTURE = "No infrastructure available to serve request"
NO_INSTANCES = "No instances available (yet) for chute_id={chute_id}"
AT_CAPACITY = "Infrastructure is at maximum capacity, try again later"
_JSON = "application/json"
_MAX_QUOTED_LENGTH = 300


class InstanceFailed(Exception):
    """The call failed, and counts against the instance. The message is the reason."""


class InstanceOutdated(Exception):
    """The instance returned 426: the platform deletes it immediately."""


@dataclass(frozen=True, kw_only=True)
class ClientResponse:
    """Status, media type and body. No other header of the instance's response is passed on."""

    status: int
    media_type: str | None
    body: bytes


def make_error_response(status: int, detail: str) -> ClientResponse:
    """Return an error response of the platform itself."""
    return ClientResponse(status=status, media_type=_JSON, body=json.dumps({"detail": detail}).encode())


async def translate_error(response: InstanceResponse) -> ClientResponse | None:
    """Return the client's response to an error status of the instance; None for a success.

    Raises InstanceFailed or InstanceOutdated for an error that counts against the instance.
    """
    if platform_checks.is_success_status(response.status):
        return None
    if response.status == platform_rules.BAD_REQUEST:
        return make_error_response(400, f"Invalid request: {await response.read_text()}")
    if response.status == platform_rules.RATE_LIMITED:
        return make_error_response(429, AT_CAPACITY)
    if response.status == platform_rules.UPGRADE_REQUIRED:
        raise InstanceOutdated
    raise InstanceFailed(
        f"the instance returned {response.status}: {(await response.read_text())[:_MAX_QUOTED_LENGTH]}"
    )


async def read_plain_response(response: InstanceResponse) -> ClientResponse:
    """Return the client's response from a cord that does not stream. Raises InstanceFailed when it is invalid."""
    try:
        value = await response.read_value()
    except InvalidResponse as error:
        raise InstanceFailed(str(error)) from error
    if "body" in value:
        # The value also has the status and headers that the handler set. The platform ignores both.
        return ClientResponse(status=200, media_type=value.get("media_type"), body=value["body"])
    try:
        decoded = json.loads(value["json"])
    except (ValueError, RecursionError) as error:
        raise InstanceFailed("the response of a passthrough cord is not JSON") from error
    return ClientResponse(status=200, media_type=_JSON, body=_dump_json(decoded))


async def read_chunks(response: InstanceResponse) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of a stream. Raises InstanceFailed for a chunk that is not encrypted with the session's key, or is not UTF-8."""
    try:
        async for chunk in response.read_chunks():
            chunk.decode("utf-8")
            yield chunk
    except InvalidResponse as error:
        raise InstanceFailed(f"the stream failed: {error}") from error
    except UnicodeDecodeError as error:
        raise InstanceFailed("the stream failed: a chunk is not UTF-8") from error


def _dump_json(value: object) -> bytes:
    # As the API's framework writes JSON: compact, without escapes.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
