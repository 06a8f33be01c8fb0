"""``--call NAME PATH``: one call of a deployed chute, and its answer for a person, a file or a script."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from chutes_wrappers.cli import output
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.host import platform_api
from chutes_wrappers.host.api_keys import api_key, required_key
from chutes_wrappers.host.calling.body import fitted, form_body, json_body
from chutes_wrappers.host.calling.content import LONGEST_LAST_EVENT_BYTES, STREAM_TYPE, content_of, stream_error
from chutes_wrappers.host.calling.refusals import refused
from chutes_wrappers.host.calling.requesting import Answer, called
from chutes_wrappers.host.calling.target import Target, chosen, without_cords
from chutes_wrappers.host.calling.whole_file import written_whole
from chutes_wrappers.host.credentials import KeyCredentials
from chutes_wrappers.host.forwarding.chute import ChuteAddress, chute_address
from chutes_wrappers.host.modules import read_module, resolve_module

# The platform ends a call after 600 s (PLATFORM.md, section 3), and should be the one that says so.
TIMEOUT_S = 610.0
_OK = 200
_SILENT_S = 2.0
_HEARTBEAT_S = 1.0
_HIDDEN = "••••"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is sent (``data`` is ``-d``, ``fields`` are ``-F``), where the answer goes, and how long it may be awaited."""

    data: str | None = None
    fields: Sequence[str] = ()
    file: Path | None = None
    url: str | None = None
    as_json: bool = False
    timeout_s: float = TIMEOUT_S


def call(name: str, path: str, options: Options) -> int:
    """Call ``path`` of the chute ``name`` (its name, its id or its module); 0 when it was answered 200, and whole."""
    body = _body(options)
    chute = _chute_name(name)
    address, target = _place(chute, path, body, options.url)
    if body is not None and options.fields:
        body = fitted(body, target.schema)
    where = f"{target.method} {address.shown}{target.bare_path}"
    with contextlib.ExitStack() as stack:
        # Before the call: it may cost something, and its answer must not be lost.
        file = stack.enter_context(written_whole(options.file)) if options.file is not None else None
        answered = stack.enter_context(_said_when_long(f"Waiting for {where}"))
        answer = stack.enter_context(called(address, target, body, timeout_s=options.timeout_s))
        if answer.status != _OK:
            data = b"".join(answer.pieces)
            answered()
            if options.as_json:
                _show_json(answer, _without(address.key, data))
            raise refused(answer.status, data, name=chute, where=where, key=address.key)
        if file is not None:
            size = _kept(answer, file)
            answered()
        else:
            _deliver(answer, answered, as_json=options.as_json)
    if options.file is not None:
        _say_kept(answer, options.file, size, as_json=options.as_json)
    return 0


def _body(options: Options) -> dict[str, Any] | None:
    if options.data is not None and options.fields:
        raise ConfigurationError("-d and -F are two bodies", next_step="give all fields as -F, or all of it as -d")
    if options.data is not None:
        return json_body(options.data)
    return form_body(options.fields) if options.fields else None


def _chute_name(name: str) -> str:
    """The chute's name, where ``name`` is a deploy module's."""
    if not name.strip():
        raise ConfigurationError("--call needs the name of a chute", next_step="--list-chutes shows yours")
    file = Path(name if name.endswith(".py") else f"{name}.py")
    if not name.endswith(".py") and not file.name.startswith("deploy_"):
        return name
    try:
        path = resolve_module(name)
    except ConfigurationError:
        return name
    return read_module(path, output.report).chute_name


def _place(name: str, path: str, body: Mapping[str, Any] | None, url: str | None) -> tuple[ChuteAddress, Target]:
    if url is not None:
        address = chute_address(url, api_key())
        if not address.is_local and address.key is None:
            required_key()
        # A name below localhost is an emulator's chute, which is called with a key.
        return replace(address, key=api_key()) if address.host else address, without_cords(path, body)
    key = required_key()
    with platform_api.connect(KeyCredentials(key=key)) as api:
        chute = api.get(f"/chutes/{quote(name, safe='')}", f"asking for the chute {name!r}", purpose="chutes")
        address = chute_address(platform_api.host_of(chute, api.url), key)
    # An emulator's chute is on this machine, and wants the key all the same.
    return replace(address, key=key), chosen(chute, path, body)


def _deliver(answer: Answer, answered: Callable[[], None], *, as_json: bool) -> None:
    if answer.kind == STREAM_TYPE and not as_json:
        answered()
        _check_end(_shown(answer))
        return
    data = b"".join(answer.pieces)
    answered()
    if as_json:
        _show_json(answer, data)
        if answer.kind == STREAM_TYPE:
            _check_end(data)
    else:
        _show(answer, data)


def _kept(answer: Answer, file: BinaryIO) -> int:
    """Write the answer into ``file``; its size in bytes."""
    size, end = 0, b""
    for piece in answer.pieces:
        file.write(piece)
        size, end = size + len(piece), (end + piece)[-LONGEST_LAST_EVENT_BYTES:]
    if answer.kind == STREAM_TYPE:
        _check_end(end)
    return size


def _say_kept(answer: Answer, path: Path, size: int, *, as_json: bool) -> None:
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
        output.result(json.dumps(content.value, indent=2, ensure_ascii=False))
    elif content.kind == "text" and sys.stdout.isatty():
        output.result(content.value)
    elif content.kind == "binary" and sys.stdout.isatty():
        raise WrapperError(
            f"the answer is {len(data)} bytes of {answer.content_type or 'no media type'}, which no terminal shows",
            next_step="call again with --output FILE, or with `> FILE`",
        )
    else:
        output.data(data)


def _show_json(answer: Answer, data: bytes) -> None:
    content = content_of(answer.content_type, data)
    shown = {"data": b64encode(data).decode()} if content.kind == "binary" else {"body": content.value}
    output.result(json.dumps({**_facts(answer), **shown}))


def _facts(answer: Answer) -> dict[str, Any]:
    return {"status": answer.status, "content_type": answer.content_type, "milliseconds": answer.milliseconds}


def _without(key: str | None, data: bytes) -> bytes:
    return data.replace(key.encode(), _HIDDEN.encode()) if key else data


@contextlib.contextmanager
def _said_when_long(title: str) -> Iterator[Callable[[], None]]:
    """Show ``title`` and the seconds gone after a while; the function that is yielded ends that."""
    answered = threading.Event()

    def say() -> None:
        if answered.wait(_SILENT_S):
            return
        with output.Progress(title) as progress:
            while not answered.wait(_HEARTBEAT_S):
                progress.line("no answer yet")

    def end() -> None:
        answered.set()
        thread.join()

    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    try:
        yield end
    finally:
        end()
