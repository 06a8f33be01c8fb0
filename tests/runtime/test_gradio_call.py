"""Calls to a stand-in for a Gradio app; the real ones are in tests/packages."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from chutes_wrappers.core.gradio_endpoints import GradioEndpoint, GradioParameter
from chutes_wrappers.runtime import gradio_call
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.gradio_files import AppSession
from tests.upstreams.gradio_app import MARK, FakeGradioApp, completed, failed, generating, reference
from tests.upstreams.raw import serve_raw

ENDPOINT = GradioEndpoint(
    prefix="/api",
    api_name="x",
    fn_index=7,
    parameters=(GradioParameter(name="text", default="hi"), GradioParameter(name="file", file="one")),
    hidden_inputs=(1,),
)


async def call(app: FakeGradioApp, body: Any = None) -> tuple[str, bytes]:
    async with app.serving() as url, aiohttp.ClientSession() as session:
        return await gradio_call.call(AppSession(session), url, ENDPOINT, body or {})


async def stream(app: FakeGradioApp) -> list[Any]:
    async with app.serving() as url, aiohttp.ClientSession() as session:
        return [json.loads(event[6:]) async for event in gradio_call.stream(AppSession(session), url, ENDPOINT, {})]


async def test_a_call_joins_the_queue_with_all_inputs() -> None:
    app = FakeGradioApp([completed("out")])
    assert await call(app, {"text": "a"}) == ("application/json", b'{"data":["out"]}')
    [joined] = app.joined
    assert (joined["data"], joined["fn_index"]) == (["a", None, None], 7)


async def test_files_are_uploaded_first() -> None:
    app = FakeGradioApp([completed("out")])
    await call(app, {"file": {"filename": "ä b.txt", "content_type": "text/x-note", "data": "AP8="}})
    assert app.uploaded == [("ä b.txt", b"\x00\xff")]
    sent = {"path": "/up/0", "orig_name": "ä b.txt", "mime_type": "text/x-note", "size": 2, "meta": MARK}
    assert app.joined[0]["data"] == ["hi", None, sent]


async def test_files_are_downloaded_with_the_matching_type() -> None:
    app = FakeGradioApp([completed(reference("/t/a b.wav"))])
    app.files["/t/a b.wav"] = web.Response(body=b"RIFF", content_type="application/octet-stream")
    assert await call(app) == ("audio/wav", b"RIFF")
    app = FakeGradioApp([completed({"video": reference("/t/x"), "subtitles": None})])
    app.files["/t/x"] = web.Response(body=b"film", content_type="video/mp4")
    assert await call(app) == ("video/mp4", b"film")


@pytest.mark.parametrize(
    "value",
    [
        {"a": {"b": reference("/t/x.txt")}, "c": None},
        {"video": reference("/t/x.txt"), "subtitles": "words"},
        [reference("/t/x.txt")],
    ],
)
async def test_a_file_among_other_values_is_json(value: Any) -> None:
    app = FakeGradioApp([completed(value)])
    app.files["/t/x.txt"] = web.Response(body=b"film", content_type="text/plain")
    kind, response = await call(app)
    assert (kind, b'"data":"ZmlsbQ=="' in response) == ("application/json", True)


async def test_an_empty_file_is_json() -> None:
    app = FakeGradioApp([completed(reference("/t/x.txt"))])
    app.files["/t/x.txt"] = web.Response(body=b"", content_type="text/plain")
    kind, response = await call(app)
    assert (kind, json.loads(response)["data"][0]["data"]) == ("application/json", "")


async def test_references_that_the_app_does_not_serve_are_unchanged() -> None:
    elsewhere, live = reference("https://x/y.png"), reference("/t/list.m3u8", is_stream=True)
    kind, response = await call(FakeGradioApp([completed(elsewhere, live)]))
    assert (kind, json.loads(response)["data"]) == ("application/json", [elsewhere, live])


@pytest.mark.parametrize(
    ("status", "response_status"), [(400, 400), (404, 400), (413, 400), (422, 400), (500, 400), (503, 429)]
)
async def test_an_error_of_the_app_is_passed_to_the_caller(status: int, response_status: int) -> None:
    app = FakeGradioApp()
    app.refusal = web.json_response({"detail": "Why."}, status=status)
    with pytest.raises(CallFailed) as refused:
        await call(app)
    assert refused.value.status == response_status
    if response_status == 400:
        assert (refused.value.detail["status"], "Why." in refused.value.detail["body"]) == (status, True)


async def test_a_truncated_response_is_an_error() -> None:
    with pytest.raises(CallFailed, match="aborted its response"):
        await call(FakeGradioApp([generating("a")]))
    with pytest.raises(CallFailed, match=r"^lost$"):
        await call(FakeGradioApp([failed("lost")]))
    app = FakeGradioApp([completed(reference("/gone"))])
    app.files["/gone"] = web.Response(status=404)
    with pytest.raises(CallFailed) as missing:
        await call(app)
    assert missing.value.detail["status"] == 404


@pytest.mark.parametrize("text", ["\ud800", 2**70, "deep"])
async def test_an_argument_that_is_not_valid_json_is_rejected(text: Any) -> None:
    value: Any = text
    for _ in range(900 if text == "deep" else 0):
        value = [value]
    with pytest.raises(CallFailed, match="an argument cannot be sent"):
        await call(FakeGradioApp(), {"text": value})


async def test_connection_errors_are_raised_unchanged() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await gradio_call.call(AppSession(session), "http://127.0.0.1:1", ENDPOINT, {})


async def test_a_stream_ends_with_its_error_or_is_refused_before_it_begins() -> None:
    assert await stream(FakeGradioApp([generating("a"), failed("lost")])) == [{"data": ["a"]}, {"error": "lost"}]
    assert await stream(FakeGradioApp([generating("a")])) == [
        {"data": ["a"]},
        {"error": "the app aborted its response before it was complete"},
    ]
    with pytest.raises(CallFailed, match="lost"):
        await stream(FakeGradioApp([failed("lost")]))


@contextlib.asynccontextmanager
async def serve_queue(reply: bytes) -> AsyncIterator[str]:
    """Serve an app that accepts a call into its queue, sends ``reply`` as its queue's stream, and disconnects."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        is_call = head.startswith(b"POST")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}" if is_call else reply)

    async with serve_raw(talk) as port:
        yield f"http://127.0.0.1:{port}"


async def test_a_connection_that_is_lost_ends_a_stream_with_the_reason() -> None:
    first = b'data: {"msg":"process_generating","success":true,"output":{"data":["a"],"is_generating":true}}\n\n'
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + first
    async with serve_queue(reply) as url, aiohttp.ClientSession() as session:
        events = [event async for event in gradio_call.stream(AppSession(session), url, ENDPOINT, {})]
    assert events == [
        b'data: {"data":["a"]}\n\n',
        b'data: {"error":"the app aborted its response (ClientPayloadError)"}\n\n',
    ]


async def test_the_refusal_of_a_queue_keeps_its_status() -> None:
    reply = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: close\r\n\r\nWhy."
    async with serve_queue(reply) as url, aiohttp.ClientSession() as session:
        with pytest.raises(CallFailed) as refused:
            await gradio_call.call(AppSession(session), url, ENDPOINT, {})
    assert (refused.value.detail["status"], refused.value.detail["body"]) == (404, "Why.")


async def test_an_event_longer_than_a_line_is_an_error() -> None:
    events = await stream(FakeGradioApp([generating("a"), generating([["replace", [], "x" * 9 * 1024**2]])]))
    assert events[0] == {"data": ["a"]}
    assert "larger than 8 MiB" in events[1]["error"]


async def test_events_are_streamed_and_a_disconnect_closes_the_call() -> None:
    app = FakeGradioApp([generating("a"), None])
    async with app.serving() as url, aiohttp.ClientSession() as session:
        async with aclosing(gradio_call.stream(AppSession(session), url, ENDPOINT, {})) as events:
            assert await anext(events) == b'data: {"data":["a"]}\n\n'
        assert await asyncio.to_thread(app.left.wait, 5)


async def test_a_cancelled_call_closes_the_apps_stream() -> None:
    app = FakeGradioApp([generating("a"), None])
    async with app.serving() as url, aiohttp.ClientSession() as session:
        task = asyncio.ensure_future(gradio_call.call(AppSession(session), url, ENDPOINT, {}))
        while not app.joined:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(app.left.wait, 5)
