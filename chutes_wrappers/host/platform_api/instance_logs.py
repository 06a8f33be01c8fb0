"""The logs of running instances, as their logging server sends them (SDK ``entrypoint/logger.py``)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.core.text import clean_text, remove_colours
from chutes_wrappers.host.account.api_key import KEY_VARIABLE, require_api_key
from chutes_wrappers.host.account.credentials import KeyCredentials
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.record_lookup import build_path

BACKFILL_LINES = 200
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_KEY_STEP = f"create a key that may read logs with {NAMES.account} --key admin, or put yours into {KEY_VARIABLE}"
_KEEP_ALIVE = "."
_EVENT = "data:"
# The other fields of an event, and its comments: no text of the instance.
_NO_TEXT = re.compile(r"(?:event|id|retry):|:")


def connect_with_key() -> PlatformApi:
    """Return a client with the user's API key. Raises ConfigurationError without a key."""
    return api_client.connect(KeyCredentials(key=require_api_key()))


class InstanceLogs:
    """Reads logs as the owner of the chute: ``api`` signs; ``connect`` returns a client with the API key.

    The API of October 2025 takes no signature here (api-observed 131, 132), so the key is used as soon as one is refused.
    """

    def __init__(self, api: PlatformApi, connect: Callable[[], PlatformApi] = connect_with_key) -> None:
        self._api = api
        self._connect = connect
        self._is_with_key = False

    def stream_lines(
        self, instance_id: str, *, silence_s: float | None = None, limit_s: float | None = None
    ) -> Iterator[str]:
        """Yield the last 200 lines and all new ones, without colours and control characters, until the instance is gone.

        With ``silence_s`` they end when nothing new has come for so many seconds, with ``limit_s`` also so many seconds after
        the start. Raises WrapperError; ConfigurationError when a key is needed, and there is none.
        """
        try:
            yield from self._read(instance_id, silence_s, limit_s)
            return
        except PlatformRequestFailed as error:
            if error.status not in _REFUSED:
                raise
            if self._is_with_key:
                raise _explain_refused_key(error) from None
            self._use_key(error)
        yield from self.stream_lines(instance_id, silence_s=silence_s, limit_s=limit_s)

    def _use_key(self, refusal: PlatformRequestFailed) -> None:
        try:
            self._api = self._connect()
        except ConfigurationError as problem:
            problem.what = (
                f"{problem.what}, and the platform refuses the hotkey's signature for logs ({refusal.status})"
            )
            problem.next_step = _KEY_STEP
            raise
        self._is_with_key = True

    def _read(self, instance_id: str, silence_s: float | None, limit_s: float | None) -> Iterator[str]:
        lines = self._api.stream_lines(
            f"{build_path('instances', instance_id)}/logs",
            f"reading the log of the instance {instance_id[:8]}",
            purpose="logs",
            params={"backfill": str(BACKFILL_LINES)},
            silence_s=silence_s,
            limit_s=limit_s,
        )
        has_begun = False  # a dot may also come first, from what is in front of the instance
        for line in lines:
            if line.removeprefix(_EVENT).strip() == _KEEP_ALIVE:
                if silence_s is not None and has_begun:
                    return  # nothing new was printed
                continue
            has_begun = has_begun or bool(line.strip())
            if (text := parse_log_line(line)) is not None:
                yield text


def parse_log_line(line: str) -> str | None:
    """Return the text in a line of a log: ``data: {"log": …}``, ``data: text`` or plain text. None for any other event."""
    text = line
    if line.startswith(_EVENT):
        try:
            payload = json.loads(line[len(_EVENT) :])
        except (ValueError, RecursionError):
            payload = {"log": line[len(_EVENT) :].removeprefix(" ")}
        if not isinstance(payload, dict):
            return None
        value = payload.get("log", payload.get("error"))
        text = "" if value is None else str(value)
    elif _NO_TEXT.match(line):
        return None
    return clean_log_line(text) or None


def clean_log_line(line: str) -> str:
    """Return a line of a log without colours and control characters, with its indentation."""
    text = remove_colours(line)
    cleaned = clean_text(text)
    return f"{' ' * (len(text) - len(text.lstrip(' ')))}{cleaned}" if cleaned else ""


def _explain_refused_key(error: PlatformRequestFailed) -> PlatformRequestFailed:
    return PlatformRequestFailed(
        "the platform shows logs to an admin API key only: it refuses the hotkey's signature and this API key",
        status=error.status,
        where=error.where or "",
        evidence=error.evidence or "",
        next_step=_KEY_STEP,
    )
