"""The page's own routes on the emulator: the page at ``/``, all else below ``/emulator/``, of which the platform knows nothing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.routing import Mount, Route

from chutes_wrappers.emulator.page.document import document_of
from chutes_wrappers.emulator.records import CallRecord, ChuteRecord, InstanceRecord

CALL_PREFIX = "/emulator/call"
_STATIC = Path(__file__).parent / "static"
_MOST_CALLS = 50
_Scope = MutableMapping[str, Any]
ASGIApp = Callable[[_Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


class PageSource(Protocol):
    """What the page shows."""

    def chutes(self) -> Sequence[ChuteRecord]:
        """Every deployed chute."""
        ...

    def instances(self, chute_id: str) -> Sequence[InstanceRecord]:
        """A chute's instances, those that are gone included."""
        ...

    def calls(self) -> Sequence[CallRecord]:
        """The latest calls, the oldest first."""
        ...

    def log(self) -> AsyncIterator[str]:
        """The latest lines of the emulator's and the instances' log, and those to come."""
        ...


def page_router(source: PageSource, invoke: ASGIApp, key: str) -> APIRouter:
    """The page's routes. Its calls go to ``invoke``, as those to a chute's own host do, with the API key ``key``.

    Only the page itself may make them: another site's pages get a 403, and so does a name that is not this machine's.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def page() -> FileResponse:
        return FileResponse(_STATIC / "index.html")

    @router.get("/emulator/chutes/{slug}/openapi.json")
    async def document(slug: str) -> dict[str, Any]:
        for chute in source.chutes():
            if chute.slug == slug:
                return document_of(chute, f"{CALL_PREFIX}/{slug}")
        raise HTTPException(status_code=404, detail=f"no chute {slug!r} is deployed here")

    @router.get("/emulator/status.json")
    async def status() -> dict[str, Any]:
        return {
            "chutes": [
                {"name": chute.name, "slug": chute.slug, "version": chute.version, "instances": _shown(source, chute)}
                for chute in source.chutes()
            ],
            "calls": [dataclasses.asdict(call) for call in source.calls()[-_MOST_CALLS:]],
        }

    @router.get("/emulator/log")
    async def log() -> StreamingResponse:
        return StreamingResponse(_events(source.log()), media_type="text/event-stream")

    router.routes.append(Route(CALL_PREFIX + "/{slug}/{path:path}", _PageCalls(invoke, key), methods=["GET", "POST"]))
    router.routes.append(Mount("/emulator/static", StaticFiles(directory=_STATIC)))
    swagger = Path(str(files("fastapi_offline") / "static"))
    router.routes.append(Mount("/emulator/swagger", StaticFiles(directory=swagger)))
    return router


def _shown(source: PageSource, chute: ChuteRecord) -> list[dict[str, Any]]:
    return [dataclasses.asdict(instance) for instance in source.instances(chute.chute_id)]


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    async for line in lines:
        yield f"data: {json.dumps(line)}\n\n"


class _PageCalls:
    """Hands a call of the page on as one to the chute's host."""

    def __init__(self, invoke: ASGIApp, key: str) -> None:
        self._invoke = invoke
        self._key = key

    async def __call__(self, scope: _Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
        request = Request(scope, receive)
        is_own = request.headers.get("sec-fetch-site", "same-origin") == "same-origin"
        if not is_own or request.url.hostname not in ("127.0.0.1", "localhost"):
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"only the emulator's own page calls here"})
            return
        slug, path = request.path_params["slug"], "/" + request.path_params["path"]
        kept = [(name, value) for name, value in scope["headers"] if name not in (b"host", b"authorization")]
        host = (b"host", f"{slug}.localhost:{request.url.port or 80}".encode())
        headers = [*kept, host, (b"authorization", f"Bearer {self._key}".encode())]
        call = {**scope, "path": path, "raw_path": path.encode(), "root_path": "", "headers": headers}
        await self._invoke(call, receive, send)
