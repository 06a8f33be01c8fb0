"""The middleware under the SDK's own dev middleware, in the order that the SDK puts them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.runtime.call_shape import AbandonMiddleware, CordCalls
from chutes_wrappers.runtime.running_call import RunningCall

ROOT = Path(__file__).resolve().parents[2]
# A separate process: importing the SDK's run module changes the interpreter (bytecode caches).
SCRIPT = """
import asyncio, json
import httpx2
from chutes.entrypoint.run import DevMiddleware
from fastapi import FastAPI, Request
from chutes_wrappers.runtime.call_shape import CallShapeMiddleware, CordCalls

app = FastAPI()
app.add_middleware(
    CallShapeMiddleware, calls=CordCalls(public=[("GET", "/a"), ("POST", "/a")], internal=["/cw_post/a"])
)
app.add_middleware(DevMiddleware)

async def show(request: Request):
    return {"decrypted": request.state.decrypted}

app.add_api_route("/a", show, methods=["GET", "POST"])
app.add_api_route("/own", show, methods=["GET", "POST"])

async def main():
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://chute") as client:
        answers = [
            await client.get("/a?x=1&x=2&empty=&s=%C3%BC%20b"),
            await client.post("/a?x=1", json={"n": [1]}),
            await client.post("/a", json=[]),
            await client.get("/own?x=1"),
            await client.post("/own?x=1", json={"n": 1}),
        ]
    instance = FastAPI()
    instance.add_middleware(CallShapeMiddleware, calls=CordCalls(public=[], internal=["/cw_post/a"]))

    @instance.middleware("http")  # as the SDK's middleware leaves a call that it has decrypted
    async def decrypt(request: Request, call_next):
        request.state.decrypted = await request.json()
        request.state.e2e = "e2e" in request.query_params
        return await call_next(request)

    for path in ("/cw_post/a", "/own"):
        instance.add_api_route(path, show, methods=["POST"])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(instance), base_url="http://chute") as client:
        tricky = {"json": 1, "params": 2, "headers": 3}
        answers += [
            await client.post("/cw_post/a?e2e=1", json=tricky),
            await client.post("/cw_post/a", json={"json": {}, "params": {}}),
            await client.post("/own?e2e=1", json=tricky),
        ]
    print(json.dumps([answer.json()["decrypted"] for answer in answers]))

asyncio.run(main())
"""


def test_calls_to_passthrough_cords_arrive_in_productions_shape_and_others_untouched() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [
        {"json": {}, "params": {"x": "2", "empty": "", "s": "ü b"}},
        {"json": {"n": [1]}, "params": {"x": "1"}},
        {"json": [], "params": {}},
        None,
        {"n": 1},
        {"json": {"json": 1, "params": 2, "headers": 3}, "params": {}},
        {"json": {}, "params": {}},
        {"json": 1, "params": 2, "headers": 3},
    ]


CALLS = CordCalls(public=[("POST", "/a")], internal=["/cw_post/a"])


def has_ended(running: RunningCall) -> bool:
    """Whether work of the call is cancelled; it would come to an end after a minute."""
    work: Future[None] = Future()
    timer = threading.Timer(60, work.set_result, [None])
    timer.start()
    try:
        running.wait_for_result(work)
    except CancelledError:
        return True
    finally:
        timer.cancel()
    return False


async def run_middleware(scope: dict[str, Any]) -> dict[str, Any]:
    """The state that the application sees behind AbandonMiddleware."""
    states: list[dict[str, Any]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        states.append(dict(scope.get("state", {})))

    async def nothing(*arguments: Any) -> None: ...

    await AbandonMiddleware(application, CALLS)(scope, nothing, nothing)
    (state,) = states
    return state


@pytest.mark.parametrize("scope", [{"path": "/a", "method": "POST"}, {"path": "/cw_post/a", "method": "POST"}])
async def test_the_work_of_a_call_ends_with_its_request(scope: dict[str, Any]) -> None:
    call: dict[str, Any] = {"json": {}, "params": {}}
    await run_middleware({"type": "http", **scope, "state": {"decrypted": call}})
    assert has_ended(call["running"])


async def test_the_work_of_a_call_ends_when_the_application_fails_too() -> None:
    call: dict[str, Any] = {}

    async def application(*arguments: Any) -> None:
        raise OSError("broken")

    async def nothing(*arguments: Any) -> None: ...

    scope = {"type": "http", "path": "/a", "method": "POST", "state": {"decrypted": call}}
    with pytest.raises(OSError, match="broken"):
        await AbandonMiddleware(application, CALLS)(scope, nothing, nothing)
    assert has_ended(call["running"])


@pytest.mark.parametrize(
    "scope",
    [
        {"type": "http", "path": "/own", "method": "POST", "state": {"decrypted": {"json": 1}}},
        {"type": "http", "path": "/a", "method": "GET", "state": {"decrypted": {"json": 1}}},
        {"type": "http", "path": "/a", "method": "POST", "state": {"decrypted": [1]}},
        {"type": "http", "path": "/a", "method": "POST"},
        {"type": "websocket", "path": "/cw_post/a"},
    ],
)
async def test_anything_else_is_passed_on_as_it_is(scope: dict[str, Any]) -> None:
    before = json.dumps(scope)
    await run_middleware(scope)
    assert json.dumps(scope) == before


def test_a_removed_public_call_is_not_matched() -> None:
    calls = CordCalls(public=[("POST", "/a"), ("GET", "/a")], internal=[])
    calls.remove_public(("POST", "/a"))
    calls.remove_public(("POST", "/never"))
    assert not calls.has_public({"type": "http", "method": "POST", "path": "/a"})
    assert calls.has_public({"type": "http", "method": "GET", "path": "/a"})
