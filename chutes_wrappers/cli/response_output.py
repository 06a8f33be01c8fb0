"""A chute's answer, shown to a person, put into a file, or told to a script."""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from chutes_wrappers.cli import output
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.calling.content import LONGEST_LAST_EVENT_BYTES, STREAM_TYPE, content_of, stream_error
from chutes_wrappers.host.calling.sending import Answer


def deliver(answer: Answer, answered: Callable[[], None], *, as_json: bool) -> None:
    """Show an answer with status 200, as ``as_json`` says; ``answered`` is called before. WrapperError for a bad end of it."""
    if answer.kind == STREAM_TYPE and not as_json:
        answered()
        _check_end(_shown(answer))
        return
    data = b"".join(answer.pieces)
    answered()
    if as_json:
        show_json(answer, data)
        if answer.kind == STREAM_TYPE:
            _check_end(data)
    else:
        _show(answer, data)


def kept(answer: Answer, file: BinaryIO) -> int:
    """Write an answer with status 200 into ``file``; its size in bytes. WrapperError for a bad end of it."""
    size, end = 0, b""
    for piece in answer.pieces:
        file.write(piece)
        size, end = size + len(piece), (end + piece)[-LONGEST_LAST_EVENT_BYTES:]
    if answer.kind == STREAM_TYPE:
        _check_end(end)
    return size


def say_kept(answer: Answer, path: Path, size: int, *, as_json: bool) -> None:
    """Say where the answer is now."""
    if as_json:
        output.result(json.dumps({**_facts(answer), "file": str(path), "bytes": size}))
    output.success(f"{path}: {size} bytes of {answer.content_type or 'no media type'}")


def _shown(answer: Answer) -> bytes:
    """Show a stream as it comes; returns its end."""
    end = b""
    for piece in answer.pieces:
        output.data(piece)
        end = (end + piece)[-LONGEST_LAST_EVENT_BYTES:]
    return end


def _check_end(stream: bytes) -> None:
    if (error := stream_error(stream)) is not None:
        raise WrapperError(
            "the stream ended with an error",
            evidence=error[:500],
            next_step="look with --logs what the service said",
        )


def _show(answer: Answer, data: bytes) -> None:
    content = content_of(answer.content_type, data)
    if content.kind == "json":
        output.data(_indented(content.value))
    elif content.kind == "text" and sys.stdout.isatty():
        output.result(content.value)
    elif content.kind == "binary" and sys.stdout.isatty():
        raise WrapperError(
            f"the answer is {len(data)} bytes of {answer.content_type or 'no media type'}, which no terminal shows",
            next_step="call again with --output FILE, or with `> FILE`",
        )
    else:
        output.data(data)


def _indented(value: Any) -> bytes:
    try:
        return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can write
        return json.dumps(value, indent=2).encode() + b"\n"


def show_json(answer: Answer, data: bytes) -> None:
    """Show an answer whose body is ``data`` as one object."""
    content = content_of(answer.content_type, data)
    shown = {"data": b64encode(data).decode()} if content.kind == "binary" else {"body": content.value}
    output.result(json.dumps({**_facts(answer), **shown}))


def _facts(answer: Answer) -> dict[str, Any]:
    return {"status": answer.status, "content_type": answer.content_type, "milliseconds": answer.milliseconds}
