"""One call to a named endpoint of a Gradio app: upload files, join the queue, read the outputs, download files.

A caller that stops waiting closes the event stream. The app then drops a call that is still queued, and stops a generator.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import aiohttp
import orjson
from yarl import URL

from chutes_wrappers.core.gradio_endpoints import GradioEndpoint
from chutes_wrappers.runtime import gradio_files
from chutes_wrappers.runtime.call_errors import TRY_AGAIN, CallFailed
from chutes_wrappers.runtime.files import File
from chutes_wrappers.runtime.gradio_arguments import parse_arguments
from chutes_wrappers.runtime.gradio_files import AppSession
from chutes_wrappers.runtime.gradio_queue import MessageParser, OutputReader
from chutes_wrappers.runtime.media_types import JSON_TYPE
from chutes_wrappers.runtime.stream_frames import MAX_LINE_BYTES, encode_event

_QUEUE_FULL = 503


async def call(session: AppSession, base_url: str, endpoint: GradioEndpoint, body: Any) -> tuple[str, bytes]:
    """Return media type and bytes of the endpoint's output for ``body``; for a generator, of its last output.

    If the output is a single file, the bytes are the file's. Otherwise they are ``{"data": [...]}``, also for an empty
    file: the platform does not support an empty response. Raises CallFailed for an error of the app or of the arguments,
    and aiohttp's errors. The call never times out.
    """
    last: list[Any] = []
    async with aclosing(_iter_outputs(session, base_url, endpoint, body)) as outputs:
        async for values in outputs:
            last = values
    files = await _download_files(session, base_url + endpoint.prefix, last)
    if len(files) == 1 and files[0].data and _is_single_file(last):
        return files[0].content_type, files[0].data
    return JSON_TYPE, _encode_outputs(last, files)


async def stream(
    session: AppSession, base_url: str, endpoint: GradioEndpoint, body: Any
) -> AsyncGenerator[bytes, None]:
    """Yield a server-sent event ``{"data": [...]}`` for each output of the endpoint.

    Errors before the first event are those of ``call``. A later error is the last event, ``{"error": …}``.
    """
    has_begun = False
    try:
        async with aclosing(_iter_outputs(session, base_url, endpoint, body)) as outputs:
            async for values in outputs:
                files = await _download_files(session, base_url + endpoint.prefix, values)
                frame = b"data: " + _encode_outputs(values, files) + b"\n\n"
                if len(frame) > MAX_LINE_BYTES:
                    raise CallFailed(f"an event is larger than {MAX_LINE_BYTES // 1024**2} MiB")
                has_begun = True
                yield frame
    except (CallFailed, aiohttp.ClientError) as error:
        if not has_begun:
            raise
        interrupted = {"error": f"the app aborted its response ({type(error).__name__})"}
        yield encode_event(error.detail if isinstance(error, CallFailed) else interrupted)


async def _iter_outputs(
    session: AppSession, base_url: str, endpoint: GradioEndpoint, body: Any
) -> AsyncGenerator[list[Any], None]:
    api = base_url + endpoint.prefix
    arguments = await gradio_files.upload(session, api, parse_arguments(endpoint, body))
    # One for each call, so that no caller gets the state of another.
    session_hash = uuid.uuid4().hex
    await _join(
        session, api, endpoint, {"data": endpoint.insert_hidden_inputs(arguments), "session_hash": session_hash}
    )
    url = URL(f"{api}/queue/data").with_query(session_hash=session_hash)
    parser, reader = MessageParser(), OutputReader(endpoint)
    async with session.get(url) as response:
        await gradio_files.check_response(response)
        async for piece in response.content.iter_any():
            for message in parser.feed(piece):
                if (values := reader.read(message)) is not None:
                    yield values
                if reader.is_complete:
                    return
    raise CallFailed("the app aborted its response before it was complete")


async def _join(session: AppSession, api: str, endpoint: GradioEndpoint, request: Mapping[str, Any]) -> None:
    try:
        data = orjson.dumps({**request, "fn_index": endpoint.fn_index})
    except orjson.JSONEncodeError as error:  # an unpaired surrogate, an integer of more than 64 bits, too deep nesting
        raise CallFailed(f"an argument cannot be sent: {error}") from error
    async with session.post(URL(f"{api}/queue/join"), data, JSON_TYPE) as response:
        try:
            await gradio_files.check_response(response)
        except CallFailed as failure:
            if response.status != _QUEUE_FULL:
                raise
            raise CallFailed("the app's queue is full; try again", response_status=TRY_AGAIN) from failure


async def _download_files(session: AppSession, api: str, values: list[Any]) -> list[File]:
    files, remaining_bytes = [], gradio_files.MAX_FILES_BYTES
    for reference in gradio_files.iter_references(values):
        file = await gradio_files.download(session, api, reference, remaining_bytes)
        remaining_bytes -= len(file.data)
        files.append(file)
    return files


def _is_single_file(values: list[Any]) -> bool:
    """Return whether the output is a single file; Gradio 4 and 5 wrap a video together with its optional subtitles."""
    if len(values) != 1:
        return False
    if gradio_files.is_downloadable(values[0]) or not isinstance(values[0], dict):
        return gradio_files.is_downloadable(values[0])
    items = [item for item in values[0].values() if item is not None]
    return len(items) == 1 and gradio_files.is_downloadable(items[0])


def _encode_outputs(values: list[Any], files: list[File]) -> bytes:
    return orjson.dumps({"data": gradio_files.replace_references(values, iter(files))})
