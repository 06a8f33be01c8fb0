"""``--call NAME PATH``: one call of a deployed chute, with its response for a person, a file or a script."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

from chutes_wrappers.cli import output
from chutes_wrappers.cli.response_output import (
    print_event,
    print_json,
    print_response,
    print_trace,
    report_saved,
    save_response,
)
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.files import open_atomically
from chutes_wrappers.core.platform_checks import is_shadowed
from chutes_wrappers.core.platform_rules import BODILESS_METHODS
from chutes_wrappers.host.account.api_key import require_api_key
from chutes_wrappers.host.calling.body import convert_to_schema, find_body_concern, parse_form_body, parse_json_body
from chutes_wrappers.host.calling.call_failures import build_call_error
from chutes_wrappers.host.calling.content import STREAM_TYPE
from chutes_wrappers.host.calling.sending import CallResponse, build_upload, send_call
from chutes_wrappers.host.calling.target import Target, build_target_without_cords, select_target
from chutes_wrappers.host.calling.trace_events import find_outcome, iter_trace_events
from chutes_wrappers.host.forwarding.chute_client import ChuteAddress, parse_deployed_address, resolve_chute_address
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_urls import build_chute_url
from chutes_wrappers.host.platform_api.error_responses import mask_secret_bytes
from chutes_wrappers.host.platform_api.lookup import ChuteName, add_listed_cords, get_chute, resolve_chute_name

_PROGRESS_DELAY_S = 2.0
_HEARTBEAT_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """The request's method and body (``data`` is ``-d``, ``fields`` are ``-F``), the response's destination and the timeout.

    ``is_traced``: show the platform's events about the call.
    """

    data: str | None = None
    fields: Sequence[str] = ()
    file: Path | None = None
    url: str | None = None
    method: str | None = None
    is_traced: bool = False
    as_json: bool = False
    timeout_s: float


def call(name: str, path: str, options: Options) -> int:
    """Call ``path`` of the chute ``name`` (name, id, module or USER/NAME); return 0 for a complete response with status 200."""
    body = _build_body(options)
    chute_name = resolve_chute_name(name, output.report)
    address, target = _resolve_target(chute_name, path, body, options)
    if body is not None and options.fields:
        body = convert_to_schema(body, target.schema)
    where = f"{target.method} {address.url}{target.bare_path}"
    with contextlib.ExitStack() as stack:
        # Opened before the call: a call may cost money, so its response must not be lost.
        file = stack.enter_context(_open_output_file(options.file)) if options.file is not None else None
        upload = build_upload(body)
        if target.method not in BODILESS_METHODS and (concern := find_body_concern(body or {}, upload.size)):
            output.warning(concern)
        stop_waiting = stack.enter_context(_show_progress_when_slow(f"Waiting for {where}", upload))
        sending = send_call(address, target, upload, timeout_s=options.timeout_s, is_traced=options.is_traced)
        response = stack.enter_context(sending)
        if response.status != HTTPStatus.OK:
            data = response.read()
            stop_waiting()
            if options.as_json:
                print_json(response, mask_secret_bytes(data, address.key))
            raise build_call_error(
                response.status,
                data,
                name=chute_name.text,
                where=where,
                key=address.key,
                invocation_id=response.invocation_id,
            )
        if options.is_traced and response.media_type == STREAM_TYPE:
            _show_trace(response, stop_waiting, chute_name.text, where, address.key, as_json=options.as_json)
        elif file is not None:
            size = save_response(response, file)
            stop_waiting()
        else:
            print_response(response, stop_waiting, as_json=options.as_json)
    if options.file is not None:
        report_saved(response, options.file, size, as_json=options.as_json)
    return 0


@contextlib.contextmanager
def _open_output_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that replaces ``path`` if the call succeeds. Raises ConfigurationError, if possible before the call."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with open_atomically(path) as file:
            yield file
    except OSError as error:
        raise ConfigurationError(
            f"the file cannot be written ({error.strerror or error})", where=str(path), next_step="use another file"
        ) from error


def _build_body(options: Options) -> dict[str, Any] | None:
    if options.is_traced and options.file is not None:
        raise ConfigurationError(
            "--output cannot be used with --trace: a trace does not contain the response",
            next_step="call without --trace to save the response",
        )
    if options.data is not None and options.fields:
        raise ConfigurationError(
            "-d cannot be used with -F", next_step="give all fields with -F, or the whole body with -d"
        )
    if options.data is not None:
        return parse_json_body(options.data)
    return parse_form_body(options.fields) if options.fields else None


def _resolve_target(
    name: ChuteName, path: str, body: Mapping[str, Any] | None, options: Options
) -> tuple[ChuteAddress, Target]:
    if (url := options.url) is not None:
        return resolve_chute_address(url), build_target_without_cords(path, body, options.method)
    key = require_api_key()
    with api_client.connect_to_read(key) as api:
        chute = add_listed_cords(api, get_chute(api, name, output.report))
        address = parse_deployed_address(build_chute_url(chute, api.url), key)
    target = select_target(chute.record, path, body, options.method)
    if is_shadowed(target.bare_path):
        output.warning(
            f"{target.bare_path} may never reach the chute: an older version of the platform's API serves it"
        )
    return address, target


def _show_trace(
    response: CallResponse,
    on_first_event: Callable[[], None],
    name: str,
    where: str,
    key: str | None,
    *,
    as_json: bool,
) -> None:
    """Show the events of a call as they arrive. Raises WrapperError unless they end with the status of a success."""
    events = []
    for event in iter_trace_events(response.pieces):
        on_first_event()
        events.append(event)
        if not as_json:
            print_event(event)
    on_first_event()
    outcome = find_outcome(events)
    if as_json:
        print_trace(response, events, outcome.status)
    if outcome.status is None:
        raise WrapperError(
            "the trace ended without the status of the call",
            where=where,
            next_step=f"check the result of the call with --status {name} and --logs {name}",
        )
    if not outcome.is_success:
        body = json.dumps({"detail": outcome.error}).encode()
        raise build_call_error(
            outcome.status, body, name=name, where=where, key=key, invocation_id=response.invocation_id
        )


@contextlib.contextmanager
def _show_progress_when_slow(title: str, state: object) -> Iterator[Callable[[], None]]:
    """Show ``title``, the elapsed seconds and ``state`` after a delay. Yield a function that ends this."""
    is_done = threading.Event()

    def show_progress() -> None:
        if is_done.wait(_PROGRESS_DELAY_S):
            return
        with output.Progress(title) as progress:
            while not is_done.wait(_HEARTBEAT_S):
                progress.add_line(str(state))

    def stop() -> None:
        is_done.set()
        thread.join()

    thread = threading.Thread(target=show_progress, daemon=True)
    thread.start()
    try:
        yield stop
    finally:
        stop()
