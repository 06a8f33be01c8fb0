"""Parser for the messages of a Gradio app's queue, which contain the outputs of an endpoint. Pure.

The app's own page uses this protocol. Unlike ``/call/<name>`` it contains the app's error messages, and it keeps session
state in every version (checked with Gradio 4.44, 5.50 and 6.31).
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from chutes_wrappers.core.gradio_endpoints import GradioEndpoint
from chutes_wrappers.runtime.call_errors import CallFailed

MAX_MESSAGE_BYTES = 128 * 1024**2
_INVALID_DIFF = "the app's output is not a valid change of its previous output"
# Any other expression could exhaust the parser's stack, and the text may be a caller's.
_STRING_LITERAL = re.compile(r"""'[^'\\\n]*(?:\\.[^'\\\n]*)*'|"[^"\\\n]*(?:\\.[^"\\\n]*)*\"""")
_NO_ERROR_MESSAGE = "the app failed without a reason; launch(show_error=True) makes it send one"


class MessageParser:
    """Parser of an event stream's messages. aiohttp's own reader is limited to lines of a few megabytes."""

    def __init__(self) -> None:
        self._buffered: list[bytes] = []
        self._buffered_bytes = 0

    def feed(self, piece: bytes) -> Iterator[dict[str, Any]]:
        """Yield the messages that ``piece`` completes."""
        *lines, rest = piece.split(b"\n")
        for line in lines:
            if message := _parse_message(b"".join([*self._buffered, line])):
                yield message
            self._buffered, self._buffered_bytes = [], 0
        self._buffered.append(rest)
        self._buffered_bytes += len(rest)
        if self._buffered_bytes > MAX_MESSAGE_BYTES:
            raise CallFailed(f"a message of the app is larger than {MAX_MESSAGE_BYTES // 1024**2} MiB")


def _parse_message(line: bytes) -> dict[str, Any] | None:
    if not line.startswith(b"data:"):
        return None
    try:
        message = orjson.loads(line[5:])
    except orjson.JSONDecodeError as error:
        raise CallFailed(f"the app's queue sent invalid JSON: {error}") from error
    return message if isinstance(message, dict) else None


class OutputReader:
    """The outputs of one call so far. ``is_complete`` is true once there are no more."""

    def __init__(self, endpoint: GradioEndpoint) -> None:
        self.is_complete = False
        self._endpoint = endpoint
        self._yielded: list[Any] | None = None

    def read(self, message: Mapping[str, Any]) -> list[Any] | None:
        """Return the endpoint's outputs if ``message`` has new ones. Raises CallFailed with the app's error message."""
        kind = message.get("msg")
        if kind == "process_generating":
            return self._build_outputs(self._apply_diff(_get_data(message)))
        if kind == "process_completed":
            self.is_complete = True
            data = _get_data(message)  # for a generator: its last output
            return self._build_outputs(data) if self._yielded is None else None
        if kind in ("unexpected_error", "server_stopped", "queue_full"):
            raise CallFailed(_parse_error_message(message.get("message")) or _NO_ERROR_MESSAGE)
        return None

    def _apply_diff(self, data: list[Any]) -> list[Any]:
        previous = self._yielded
        if previous is not None and self._endpoint.is_diff_protocol:
            if len(previous) != len(data):
                raise CallFailed(_INVALID_DIFF)
            data = [apply_edits(value, edits) for value, edits in zip(previous, data, strict=True)]
        self._yielded = data
        return data

    def _build_outputs(self, data: Sequence[Any]) -> list[Any]:
        return [_unwrap_update(value) for value in self._endpoint.remove_hidden_outputs(data)]


def _get_data(message: Mapping[str, Any]) -> list[Any]:
    output = message.get("output")
    output = output if isinstance(output, dict) else {}
    if not message.get("success") or not isinstance(output.get("data"), list):
        raise CallFailed(_parse_error_message(output.get("error")) or _NO_ERROR_MESSAGE)
    data: list[Any] = output["data"]
    return data


def _parse_error_message(error: Any) -> str:
    """Return the message of an error; Gradio 4 quotes it like a Python string."""
    if not isinstance(error, str):
        return orjson.dumps(error).decode() if error else ""
    if _STRING_LITERAL.fullmatch(error):
        try:
            return str(ast.literal_eval(error))
        except (ValueError, SyntaxError):
            return error
    return error


def _unwrap_update(value: Any) -> Any:
    """Return the value that an update of a component sets; None if it sets none."""
    is_update = isinstance(value, dict) and value.get("__type__") == "update"
    return value.get("value") if is_update else value


def apply_edits(value: Any, edits: Sequence[Sequence[Any]]) -> Any:
    """Return ``value`` after the ``[action, path, new]`` of ``edits``. Raises CallFailed if they are invalid."""
    try:
        root = [copy.deepcopy(value)]
        for action, path, new in edits:
            _apply_edit(root, [0, *path], action, new)
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError) as error:
        raise CallFailed(_INVALID_DIFF) from error
    return root[0]


def _apply_edit(target: Any, path: Sequence[Any], action: str, new: Any) -> None:
    for key in path[:-1]:
        target = target[key]
    key = path[-1]
    if action == "add" and isinstance(target, list):
        target.insert(int(key), new)
    elif action in ("replace", "add"):
        target[key] = new
    elif action == "append":
        target[key] += new
    elif action == "delete":
        del target[key]
    else:
        raise ValueError(action)
