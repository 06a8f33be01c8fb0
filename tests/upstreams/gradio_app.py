"""A Gradio app's messages, and a fake app that sends them: the formats of Gradio 6, small."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import BodyPartReader, web
from aiohttp.typedefs import Handler

FILE = {
    "properties": {"path": {"type": "string"}, "url": {}, "orig_name": {}, "meta": {"$ref": "#/$defs/Meta"}},
    "required": ["path"],
    "$defs": {"Meta": {"type": "object"}},
}
FILES = {"type": "array", "items": {"$ref": "#/$defs/FileData"}, "$defs": {"FileData": FILE}}
MARK = {"_type": "gradio.FileData"}


def parameter(name: str | None, kind: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    default = {"parameter_has_default": "default" in more, "parameter_default": more.pop("default", None)}
    return {"label": "Label", "parameter_name": name, "type": kind, "component": "Textbox", **default, **more}


def function(number: int, name: str, inputs: Iterable[int], outputs: Iterable[int], **more: Any) -> dict[str, Any]:
    generator = more.pop("generator", False)
    kinds = {"generator": generator, "cancel": False}
    return {"id": number, "api_name": name, "inputs": list(inputs), "outputs": list(outputs), "types": kinds, **more}


def info(**endpoints: Mapping[str, Any]) -> dict[str, Any]:
    return {"named_endpoints": {f"/{name}": value for name, value in endpoints.items()}, "unnamed_endpoints": {}}


def config(*functions: Mapping[str, Any], state: Iterable[int] = (), protocol: str = "sse_v3") -> dict[str, Any]:
    components = [{"id": number, "type": "textbox", "skip_api": number in set(state)} for number in range(20)]
    return {"protocol": protocol, "dependencies": list(functions), "components": components}


def reference(path: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "url": "http://elsewhere:1/x", "orig_name": None, "mime_type": None, "meta": MARK, **more}


def generating(*data: Any) -> dict[str, Any]:
    return {"msg": "process_generating", "success": True, "output": {"data": list(data), "is_generating": True}}


def completed(*data: Any) -> dict[str, Any]:
    return {"msg": "process_completed", "success": True, "output": {"data": list(data), "is_generating": False}}


def failed(error: Any) -> dict[str, Any]:
    return {"msg": "process_completed", "success": False, "output": {"error": error}}


class FakeGradioApp:
    """Serves the routes of a Gradio app's API. ``messages`` are those of its queue; None keeps the stream open."""

    def __init__(self, messages: Iterable[dict[str, Any] | None] = ()) -> None:
        self.messages = list(messages)
        self.files: dict[str, web.Response] = {}
        self.joined: list[dict[str, Any]] = []
        self.uploaded: list[tuple[str, bytes]] = []
        self.refusal: web.Response | None = None
        self.left = threading.Event()
        self.request_headers: list[Mapping[str, str]] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Its root URL, until the block ends."""
        application = web.Application(client_max_size=1024**3, middlewares=[self._record])
        application.router.add_post("/api/upload", self._upload)
        application.router.add_post("/api/queue/join", self._join)
        application.router.add_get("/api/queue/data", self._data)
        application.router.add_get("/api/{file:file=.*}", self._file)
        runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    @web.middleware
    async def _record(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.request_headers.append(request.headers)
        return await handler(request)

    async def _upload(self, request: web.Request) -> web.Response:
        reader = await request.multipart()
        while isinstance(part := await reader.next(), BodyPartReader):
            self.uploaded.append((part.filename or "", bytes(await part.read())))
        return web.json_response([f"/up/{number}" for number in range(len(self.uploaded))])

    async def _join(self, request: web.Request) -> web.Response:
        self.joined.append(await request.json())
        return self.refusal or web.json_response({"event_id": "e"})

    async def _data(self, request: web.Request) -> web.StreamResponse:
        assert request.query["session_hash"] == self.joined[-1]["session_hash"]
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            for message in self.messages:
                await (asyncio.sleep(60) if message is None else response.write(_event(message)))
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise
        return response

    async def _file(self, request: web.Request) -> web.Response:
        return self.files[request.match_info["file"].removeprefix("file=")]


def _event(message: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(message)}\n\n".encode()
