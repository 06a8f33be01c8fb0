"""``--call NAME PATH``: one call of a deployed chute, and its answer for a person, a file or a script."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from chutes_wrappers.cli import output
from chutes_wrappers.cli.response_output import deliver, kept, say_kept, show_json
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.account.api_key import api_key, required_key
from chutes_wrappers.host.account.credentials import KeyCredentials
from chutes_wrappers.host.calling.body import fitted, form_body, json_body
from chutes_wrappers.host.calling.call_failures import refused
from chutes_wrappers.host.calling.sending import called, upload_of
from chutes_wrappers.host.calling.target import Target, chosen, without_cords
from chutes_wrappers.host.calling.whole_file import written_whole
from chutes_wrappers.host.forwarding.chute_client import ChuteAddress, chute_address
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.error_responses import masked_bytes
from chutes_wrappers.host.platform_api.lookup import chute_name

_OK = 200
_SILENT_S = 2.0
_HEARTBEAT_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is sent (``data`` is ``-d``, ``fields`` are ``-F``), where the answer goes, and how long it may be awaited."""

    data: str | None = None
    fields: Sequence[str] = ()
    file: Path | None = None
    url: str | None = None
    as_json: bool = False
    timeout_s: float


def call(name: str, path: str, options: Options) -> int:
    """Call ``path`` of the chute ``name`` (its name, its id or its module); 0 when it was answered 200, and whole."""
    body = _body(options)
    chute = chute_name(name, output.report)
    address, target = _place(chute, path, body, options.url)
    if body is not None and options.fields:
        body = fitted(body, target.schema)
    where = f"{target.method} {address.shown}{target.bare_path}"
    with contextlib.ExitStack() as stack:
        # Before the call: it may cost something, and its answer must not be lost.
        file = stack.enter_context(written_whole(options.file)) if options.file is not None else None
        upload = upload_of(body)
        answered = stack.enter_context(_said_when_long(f"Waiting for {where}", upload))
        answer = stack.enter_context(called(address, target, upload, timeout_s=options.timeout_s))
        if answer.status != _OK:
            data = b"".join(answer.pieces)
            answered()
            if options.as_json:
                show_json(answer, masked_bytes(data, address.key))
            raise refused(answer.status, data, name=chute, where=where, key=address.key)
        if file is not None:
            size = kept(answer, file)
            answered()
        else:
            deliver(answer, answered, as_json=options.as_json)
    if options.file is not None:
        say_kept(answer, options.file, size, as_json=options.as_json)
    return 0


def _body(options: Options) -> dict[str, Any] | None:
    if options.data is not None and options.fields:
        raise ConfigurationError("-d and -F are two bodies", next_step="give all fields as -F, or all of it as -d")
    if options.data is not None:
        return json_body(options.data)
    return form_body(options.fields) if options.fields else None


def _place(name: str, path: str, body: Mapping[str, Any] | None, url: str | None) -> tuple[ChuteAddress, Target]:
    if url is not None:
        address = chute_address(url, api_key())
        if not address.is_local and address.key is None:
            required_key()
        # A name below localhost is an emulator's chute, which is called with a key.
        return replace(address, key=api_key()) if address.host else address, without_cords(path, body)
    key = required_key()
    with api_client.connect(KeyCredentials(key=key)) as api:
        chute = api.get(f"/chutes/{quote(name, safe='')}", f"asking for the chute {name!r}", purpose="chutes")
        address = chute_address(api_client.host_of(chute, api.url), key)
    # An emulator's chute is on this machine, and wants the key all the same.
    return replace(address, key=key), chosen(chute, path, body)


@contextlib.contextmanager
def _said_when_long(title: str, state: object) -> Iterator[Callable[[], None]]:
    """Show ``title``, the seconds gone and ``state`` after a while; the function that is yielded ends that."""
    answered = threading.Event()

    def say() -> None:
        if answered.wait(_SILENT_S):
            return
        with output.Progress(title) as progress:
            while not answered.wait(_HEARTBEAT_S):
                progress.line(str(state))

    def end() -> None:
        answered.set()
        thread.join()

    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    try:
        yield end
    finally:
        end()
