"""The log of an image's build, read over as many connections as it needs.

``GET /images/{id}/logs`` is an event stream while the build runs, and the whole log as text afterwards. After ``DONE`` the
stream goes on with dots, and a stream that is opened later may have nothing but dots (PLATFORM.md, section 5).
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from chutes_wrappers.host.platform_api.api_client import PlatformApi
from chutes_wrappers.host.platform_api.objects import ImageInfo
from chutes_wrappers.host.platform_api.record_lookup import build_path

_END = "DONE"
_EVENT = "data:"
_EVENT_FIELDS = ("event:", "id:", "retry:", ":")  # of an event stream, beside its data
_KEEP_ALIVE = "."
# How long a connection stays open without a new line: until the image's status is requested again.
_QUIET_S = 20.0
_QUIET_AFTER_END_S = 3.0
_KNOWN_LINES = 3
_MAX_LINES = 20_000
_MAX_LINE_LENGTH = 4_000


class BuildLog:
    """The log of the build of ``image``. Each line is returned once, over all calls; ``line_count`` counts them."""

    def __init__(self, api: PlatformApi, image: ImageInfo) -> None:
        self._api = api
        self._image = image
        self.line_count = 0
        self._offset: dict[str, Any] = {}
        self._text_count = 0
        self._has_ended = False  # DONE was read: the image's status follows within moments
        self._last_lines: deque[str] = deque(maxlen=_KNOWN_LINES)

    def iter_new_lines(self, *, has_ended: bool) -> Iterator[str]:
        """Yield the lines that were not returned before, as they arrive.

        They end with the log, or after some seconds without a line: less when the build ``has_ended``. Raises
        PlatformUnreachable and PlatformRequestFailed; the next call continues after the last line.
        """
        known_count, known_lines = self._text_count, list(self._last_lines)
        pending: deque[str] = deque(maxlen=_MAX_LINES)  # a whole log, whose beginning may be known already
        quiet_s = _QUIET_AFTER_END_S if has_ended or self._has_ended else _QUIET_S
        for kind, text in self._iter_parts(quiet_s):
            if kind == "event":
                yield from self._remember(text)
            elif known_count:
                known_count -= 1
            elif known_lines and not self._text_count:
                pending.append(text)
            else:
                self._text_count += 1
                yield from self._remember(text)
        new_lines = drop_known_lines(list(pending), known_lines)
        self._text_count += len(pending)
        for line in new_lines:
            yield from self._remember(line)

    def _remember(self, text: str) -> Iterator[str]:
        for line in text.splitlines():
            self._last_lines.append(line)
            self.line_count += 1
            yield line[:_MAX_LINE_LENGTH]

    def _iter_parts(self, quiet_s: float) -> Iterator[tuple[str, str]]:
        """Yield ``("event", text)`` and ``("text", line)`` of one connection, until its end or ``quiet_s`` without either."""
        path, what = (
            f"{build_path('images', self._image.image_id)}/logs",
            f"reading the build log of {self._image.reference}",
        )
        lines = self._api.stream_lines(path, what, purpose="images", params=dict(self._offset), silence_s=quiet_s)
        is_text, last_at = False, time.monotonic()
        for line in lines:
            event = line.removeprefix(_EVENT).strip() if line.startswith(_EVENT) else None
            content = line.strip() if event is None else event
            if content.strip('"') == _END and not is_text:
                self._has_ended = True
                return
            if content in ("", _KEEP_ALIVE) or (event is None and not is_text and line.startswith(_EVENT_FIELDS)):
                if time.monotonic() - last_at > quiet_s:
                    return
                continue
            last_at = time.monotonic()
            if event is None:
                is_text = True
                yield "text", line
            elif (text := self._parse_event(event)) == _END:  # or a line of the build itself: the status decides
                self._has_ended = True
                return
            else:
                yield "event", text

    def _parse_event(self, event: str) -> str:
        """Return the text of an event ``{"log": …, "offset": …}``, and remember its offset; a text that is not JSON as it is."""
        try:
            value = json.loads(event)
        except (ValueError, RecursionError):
            return "" if event.startswith("{") else event  # cut off, or a text
        if not isinstance(value, dict):
            return ""
        if isinstance(value.get("offset"), str | int):
            self._offset["offset"] = value["offset"]
        log = value.get("log", "")
        return str(log.get("log", "") if isinstance(log, dict) else log).rstrip()


def drop_known_lines(lines: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the ``lines`` after the last place where ``known`` stands in them; all if it is nowhere."""
    for end in range(len(lines), len(known) - 1, -1):
        if list(lines[end - len(known) : end]) == list(known):
            return list(lines[end:])
    return list(lines)
