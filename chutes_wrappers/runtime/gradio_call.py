"""One call to a named endpoint of a Gradio app: files up, into its queue, what comes out, files down.

Whoever stops waiting closes the event stream; the app then drops a call that still queues, and stops a generator.
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
from chutes_wrappers.runtime.gradio_arguments import arguments
from chutes_wrappers.runtime.gradio_queue import MessageLines, Outputs
from chutes_wrappers.runtime.stream_frames import LONGEST_LINE_BYTES, event

JSON_TYPE = "application/json"
_QUEUE_FULL = 503


async def call(session: aiohttp.ClientSession, base_url: str, endpoint: GradioEndpoint, body: Any) -> tuple[str, bytes]:
    """Media type and bytes of what the endpoint puts out for ``body``; of a generator, what it yields last.

    A file that is all that comes out is its own bytes, anything else ``{"data": [...]}``, and so is an empty file: the platform
    carries no empty answer. CallRefused says what the app or
    the arguments lack; aiohttp's errors pass. There is no time limit.
    """
    last: list[Any] = []
    async with aclosing(_outputs(session, base_url, endpoint, body)) as outputs:
        async for values in outputs:
            last = values
    files = await _downloaded(session, base_url + endpoint.prefix, last)
    if len(files) == 1 and files[0].data and _is_file_alone(last):
        return files[0].content_type, files[0].data
    return JSON_TYPE, _encoded(last, files)


async def stream(
    session: aiohttp.ClientSession, base_url: str, endpoint: GradioEndpoint, body: Any
) -> AsyncGenerator[bytes, None]:
    """A server-sent event ``{"data": [...]}`` for everything that the endpoint yields, as it yields it.

    Errors before the first event are those of ``call``; what goes wrong later is the last event, ``{"error": …}``.
    """
    has_begun = False
    try:
        async with aclosing(_outputs(session, base_url, endpoint, body)) as outputs:
            async for values in outputs:
                files = await _downloaded(session, base_url + endpoint.prefix, values)
                frame = b"data: " + _encoded(values, files) + b"\n\n"
                if len(frame) > LONGEST_LINE_BYTES:
                    raise CallFailed(f"an event is larger than {LONGEST_LINE_BYTES // 1024**2} MiB")
                has_begun = True
                yield frame
    except (CallFailed, aiohttp.ClientError) as error:
        if not has_begun:
            raise
        broken_off = {"error": f"the app broke its answer off ({type(error).__name__})"}
        yield event(error.detail if isinstance(error, CallFailed) else broken_off)


async def _outputs(
    session: aiohttp.ClientSession, base_url: str, endpoint: GradioEndpoint, body: Any
) -> AsyncGenerator[list[Any], None]:
    api = base_url + endpoint.prefix
    given = await gradio_files.upload(session, api, arguments(endpoint, body))
    # Of its own for every call, so that no caller meets the state of another.
    token = uuid.uuid4().hex
    await _join(session, api, endpoint, {"data": endpoint.all_inputs(given), "session_hash": token})
    url = URL(f"{api}/queue/data").with_query(session_hash=token)
    lines, read = MessageLines(), Outputs(endpoint)
    async with session.get(url, headers=gradio_files.AS_IT_IS, timeout=gradio_files.NO_LIMIT) as answer:
        await gradio_files.check(answer)
        async for piece in answer.content.iter_any():
            for message in lines.feed(piece):
                if (values := read.read(message)) is not None:
                    yield values
                if read.is_complete:
                    return
    raise CallFailed("the app broke its answer off before it was complete")


async def _join(session: aiohttp.ClientSession, api: str, endpoint: GradioEndpoint, request: Mapping[str, Any]) -> None:
    try:
        data = orjson.dumps({**request, "fn_index": endpoint.fn_index})
    except orjson.JSONEncodeError as error:  # half a surrogate pair, an integer of more than 64 bits, endless nesting
        raise CallFailed(f"an argument cannot be sent on: {error}") from error
    headers = {**gradio_files.AS_IT_IS, "Content-Type": JSON_TYPE}
    async with session.post(
        URL(f"{api}/queue/join"), data=data, headers=headers, timeout=gradio_files.NO_LIMIT
    ) as answer:
        try:
            await gradio_files.check(answer)
        except CallFailed as refusal:
            if answer.status != _QUEUE_FULL:
                raise
            raise CallFailed("the app's queue is full; try again", answer_with=TRY_AGAIN) from refusal


async def _downloaded(session: aiohttp.ClientSession, api: str, values: list[Any]) -> list[File]:
    files, left = [], gradio_files.LARGEST_FILES_BYTES
    for reference in gradio_files.references_in(values):
        file = await gradio_files.download(session, api, reference, left)
        left -= len(file.data)
        files.append(file)
    return files


def _is_file_alone(values: list[Any]) -> bool:
    """Whether a single file is all that came out; Gradio 4 and 5 wrap a video with the subtitles that it may have."""
    if len(values) != 1:
        return False
    if gradio_files.is_downloadable(values[0]) or not isinstance(values[0], dict):
        return gradio_files.is_downloadable(values[0])
    inner = [item for item in values[0].values() if item is not None]
    return len(inner) == 1 and gradio_files.is_downloadable(inner[0])


def _encoded(values: list[Any], files: list[File]) -> bytes:
    return orjson.dumps({"data": gradio_files.with_files(values, iter(files))})
