"""Gradio endpoints through the gateway: what counts as a failure of the instance."""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web

from chutes_wrappers.core.gradio_endpoints import GradioEndpoint, GradioParameter
from chutes_wrappers.core.routes import Route
from chutes_wrappers.runtime.background import BACKGROUND
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.gateway import CallResponse, Gateway
from tests.upstreams.gradio_app import FakeGradioApp, completed, failed, generating, reference

ENDPOINT = GradioEndpoint(
    prefix="/api", api_name="x", fn_index=7, parameters=(GradioParameter(name="text", default="hi"),)
)
UPLOAD = Route(
    path="/u",
    gradio=GradioEndpoint(prefix="/api", api_name="u", fn_index=8, parameters=(GradioParameter(name="f", file="one"),)),
)
ROUTE = Route(path="/x", gradio=ENDPOINT)


async def call_gateway(gateway: Gateway, url: str, **query: str) -> CallResponse:
    call = {"json": {}, "params": query}
    return await asyncio.to_thread(gateway.handle_call, ROUTE, int(url.rsplit(":", 1)[1]), call)


async def status(gateway: Gateway, url: str) -> int:
    with pytest.raises(CallFailed) as refused:
        await call_gateway(gateway, url)
    return refused.value.status


async def test_arguments_may_be_in_the_query_string() -> None:
    app, gateway = FakeGradioApp([completed("out")]), Gateway()
    async with app.serving() as url:
        assert json.loads((await call_gateway(gateway, url, text="from the query")).body) == {"data": ["out"]}
        await BACKGROUND.run(gateway.close())
    assert app.joined[0]["data"] == ["from the query"]


async def test_arguments_may_be_in_both_of_which_the_body_counts() -> None:
    app, gateway = FakeGradioApp([completed("out")]), Gateway()
    endpoint = ENDPOINT.model_copy(
        update={"parameters": tuple(GradioParameter(name=name, default="") for name in ("a", "b", "c"))}
    )
    call = {"json": {"a": "body", "b": "body"}, "params": {"b": "query", "c": "query"}}
    async with app.serving() as url:
        route = Route(path="/x", gradio=endpoint)
        await asyncio.to_thread(gateway.handle_call, route, int(url.rsplit(":", 1)[1]), call)
        await BACKGROUND.run(gateway.close())
    assert app.joined[0]["data"] == ["body", "body", "query"]


@pytest.mark.parametrize("messages", [[completed("out")], [failed("words")]])
async def test_an_app_that_exits_after_a_success_is_the_instances_failure(messages: list[dict[str, Any]]) -> None:
    app, gateway = FakeGradioApp(messages), Gateway()
    async with app.serving() as url:
        assert await status(gateway, "http://127.0.0.1:1") == 429  # it may be starting
        with contextlib.suppress(CallFailed):
            await call_gateway(gateway, url)
    assert await status(gateway, url) == 503
    await BACKGROUND.run(gateway.close())


async def test_five_failures_of_an_app_are_the_instances_failure() -> None:
    app, gateway = FakeGradioApp([failed("words")]), Gateway()
    async with app.serving() as url:
        answered = []
        for refusal in [500] * 5 + [None, 500]:
            app.refusal = web.Response(status=refusal) if refusal else None
            answered.append(await status(gateway, url))
        assert answered == [400, 400, 400, 400, 503, 400, 400]
        await BACKGROUND.run(gateway.close())


@pytest.mark.parametrize(
    "file",
    [
        {"filename": "\x01", "data": ""},
        {"filename": "\ud800", "data": ""},
        {"filename": "x", "content_type": "a/\x01", "data": ""},
        "data:,\ud800",
    ],
)
async def test_a_file_that_cannot_be_sent_is_named_and_never_the_apps_failure(file: Any) -> None:
    app, gateway = FakeGradioApp(), Gateway()
    async with app.serving() as url:
        port = int(url.rsplit(":", 1)[1])
        for _ in range(6):
            with pytest.raises(CallFailed, match=r"`f`.*unpaired surrogate") as refused:
                await asyncio.to_thread(gateway.handle_call, UPLOAD, port, {"json": {"f": file}, "params": {}})
            assert refused.value.status == 400
        await BACKGROUND.run(gateway.close())
    assert app.uploaded == []


async def test_a_generator_streams_through_the_gateway() -> None:
    app, gateway = FakeGradioApp([generating("a"), completed("a")]), Gateway()

    async def frames(port: int) -> list[bytes]:
        async with aclosing(gateway.open_gradio(ENDPOINT, port, {"json": {}, "params": {}})) as stream:
            return [frame async for frame in stream]

    async with app.serving() as url:
        assert await BACKGROUND.run(frames(int(url.rsplit(":", 1)[1]))) == [b'data: {"data":["a"]}\n\n']
        await BACKGROUND.run(gateway.close())


async def test_every_request_to_an_app_has_the_headers_of_the_module() -> None:
    reference_to_file = reference("/t/x.txt")
    app, gateway = FakeGradioApp([completed(reference_to_file)]), Gateway()
    app.files["/t/x.txt"] = web.Response(body=b"x", content_type="text/plain")
    call = {"json": {"f": {"filename": "a", "data": "eA=="}}, "params": {}}
    async with app.serving() as url:
        port = int(url.rsplit(":", 1)[1])
        response = await asyncio.to_thread(gateway.handle_call, UPLOAD, port, call, lambda: {"X-Key": "k1"})
        await BACKGROUND.run(gateway.close())
    assert response.body == b"x"
    assert [keys.get("X-Key") for keys in app.request_headers] == ["k1"] * 4
