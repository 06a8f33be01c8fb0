"""A chute's response: printed for a person, saved to a file, or printed as JSON for a script."""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from chutes_wrappers.cli import output
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.calling.content import (
    LONGEST_LAST_EVENT_BYTES,
    STREAM_TYPE,
    parse_content,
    parse_stream_error,
)
from chutes_wrappers.host.calling.sending import CallResponse
from chutes_wrappers.host.calling.trace_events import TraceEvent


def print_response(response: CallResponse, on_complete: Callable[[], None], *, as_json: bool) -> None:
    """Print a response with status 200, as JSON if ``as_json``. ``on_complete`` is called before anything is printed.

    Raises WrapperError for a stream that ends with an error.
    """
    if response.media_type == STREAM_TYPE and not as_json:
        on_complete()
        _check_end(_print_stream(response))
        return
    data = response.read()
    on_complete()
    if as_json:
        print_json(response, data)
        if response.media_type == STREAM_TYPE:
            _check_end(data)
    else:
        _print_body(response, data)


def save_response(response: CallResponse, file: BinaryIO) -> int:
    """Write a response with status 200 to ``file`` and return its size in bytes.

    Raises WrapperError for a stream that ends with an error.
    """
    size, end = 0, b""
    for piece in response.pieces:
        file.write(piece)
        size, end = size + len(piece), (end + piece)[-LONGEST_LAST_EVENT_BYTES:]
    if response.media_type == STREAM_TYPE:
        _check_end(end)
    return size


def report_saved(response: CallResponse, path: Path, size: int, *, as_json: bool) -> None:
    """Report where the response was saved."""
    if as_json:
        output.print_json({**_describe_response(response), "file": str(path), "bytes": size})
    output.success(f"{path}: {size} bytes of {response.content_type or 'no media type'}")


def _print_stream(response: CallResponse) -> bytes:
    """Print a stream as it arrives and return its end."""
    end = b""

    def iterate_pieces() -> Iterator[bytes]:
        nonlocal end
        for piece in response.pieces:
            yield piece
            end = (end + piece)[-LONGEST_LAST_EVENT_BYTES:]

    output.write_data(iterate_pieces())
    return end


def _check_end(stream: bytes) -> None:
    if (error := parse_stream_error(stream)) is not None:
        raise WrapperError(
            "the stream ended with an error",
            evidence=error[:500],
            next_step="read with --logs what the service printed",
        )


def _print_body(response: CallResponse, data: bytes) -> None:
    content = parse_content(response.content_type, data)
    if content.kind == "json":
        output.write_data([_format_json(content.value)])
    elif content.kind == "text" and sys.stdout.isatty():
        output.print_result(content.value)
    elif content.kind == "binary" and sys.stdout.isatty():
        raise WrapperError(
            f"the response is {len(data)} bytes of {response.content_type or 'no media type'}, which a terminal cannot show",
            next_step="call again with --output FILE, or with `> FILE`",
        )
    else:
        output.write_data([data])


def _format_json(value: Any) -> bytes:
    try:
        return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # a lone surrogate can only be written as an escape
        return json.dumps(value, indent=2).encode() + b"\n"


def print_json(response: CallResponse, data: bytes) -> None:
    """Print a response with the body ``data`` as one JSON object."""
    content = parse_content(response.content_type, data)
    body_fields = {"data": b64encode(data).decode()} if content.kind == "binary" else {"body": content.value}
    output.print_json({**_describe_response(response), **body_fields})


def print_event(event: TraceEvent) -> None:
    """Print one event of a call's trace as a line, and the response's body if the event has it."""
    if event.has_result:
        result = event.result
        text = result if isinstance(result, str) else _format_json(result).decode()
        # A lone surrogate cannot be written in UTF-8.
        output.print_result(text.encode(errors="backslashreplace").decode())
    else:
        output.print_line(event.format())


def print_trace(response: CallResponse, events: Sequence[TraceEvent], status: int | None) -> None:
    """Print all events of a call that ended with ``status`` as one JSON object."""
    output.print_json({**_describe_response(response), "status": status, "events": [event.value for event in events]})


def _describe_response(response: CallResponse) -> dict[str, Any]:
    return {
        "status": response.status,
        "content_type": response.content_type,
        "milliseconds": response.milliseconds,
        "invocation_id": response.invocation_id or None,
    }
