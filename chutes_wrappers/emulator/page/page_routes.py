"""The page's routes: the page at ``/``, everything else below ``/emulator/``. The platform has none of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.routing import Mount, Route

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.program import replace_command_names
from chutes_wrappers.emulator.page.document import build_document
from chutes_wrappers.emulator.page.page_access import CALL_PREFIX, SECRET_HEADER, PageAccess
from chutes_wrappers.emulator.records import CallRecord, ChuteRecord, InstanceRecord
from chutes_wrappers.runtime.call_shape import ASGIApp, Scope

_STATIC = Path(__file__).parent / "static"
_MAX_SHOWN_CALLS = 50
_CALL_METHODS = (*platform_rules.API_PUBLIC_METHODS, *platform_rules.NEWEST_PUBLIC_METHODS)
_PAGE_HEADERS = (b"host", b"authorization", SECRET_HEADER.lower().encode())


class PageSource(Protocol):
    """The data that the page shows."""

    def list_chutes(self) -> Sequence[ChuteRecord]:
        """Return all deployed chutes."""
        ...

    def list_instances(self, chute_id: str) -> Sequence[InstanceRecord]:
        """Return a chute's instances, with those that are gone."""
        ...

    def list_calls(self) -> Sequence[CallRecord]:
        """Return the latest calls, the oldest first."""
        ...

    def follow_log(self) -> AsyncIterator[str]:
        """Yield the latest log lines of the emulator and the instances, then new ones."""
        ...


def build_page_router(source: PageSource, invoke: ASGIApp, key: str, secret: str) -> APIRouter:
    """Return the page's routes. Its calls go to ``invoke`` with the API key ``key``, as calls to a chute's own host do.

    Static files need no secret. Data and calls need ``secret`` in the header ``SECRET_HEADER``, else they return 403.
    """
    router = APIRouter(include_in_schema=False)
    access = PageAccess(secret)
    page_only = [Depends(access)]

    @router.get("/")
    async def page() -> HTMLResponse:
        return HTMLResponse(replace_command_names((_STATIC / "index.html").read_text(encoding="utf-8")))

    @router.get("/emulator/chutes/{slug}/openapi.json", dependencies=page_only)
    async def document(slug: str) -> dict[str, Any]:
        for chute in source.list_chutes():
            if chute.slug == slug:
                return build_document(chute, f"{CALL_PREFIX}/{slug}")
        raise HTTPException(status_code=404, detail=f"chute {slug!r} not found")

    @router.get("/emulator/status.json", dependencies=page_only)
    async def status() -> dict[str, Any]:
        return {
            "chutes": [
                {
                    "name": chute.name,
                    "slug": chute.slug,
                    "version": chute.version,
                    "instances": _list_instance_payloads(source, chute),
                }
                for chute in source.list_chutes()
            ],
            "calls": [dataclasses.asdict(call) for call in source.list_calls()[-_MAX_SHOWN_CALLS:]],
        }

    @router.get("/emulator/log", dependencies=page_only)
    async def log() -> StreamingResponse:
        return StreamingResponse(_stream_events(source.follow_log()), media_type="text/event-stream")

    router.routes.append(
        Route(CALL_PREFIX + "/{slug}/{path:path}", _PageCalls(invoke, key, access), methods=list(_CALL_METHODS))
    )
    router.routes.append(Mount("/emulator/static", StaticFiles(directory=_STATIC)))
    swagger = Path(str(files("fastapi_offline") / "static"))
    router.routes.append(Mount("/emulator/swagger", StaticFiles(directory=swagger)))
    return router


def _list_instance_payloads(source: PageSource, chute: ChuteRecord) -> list[dict[str, Any]]:
    return [dataclasses.asdict(instance) for instance in source.list_instances(chute.chute_id)]


async def _stream_events(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    async for line in lines:
        yield f"data: {json.dumps(line)}\n\n"


class _PageCalls:
    """Passes a call of the page on as a call to the chute's host."""

    def __init__(self, invoke: ASGIApp, key: str, access: PageAccess) -> None:
        self._invoke = invoke
        self._key = key
        self._access = access

    async def __call__(self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
        request = Request(scope, receive)
        self._access(request)
        slug, path = request.path_params["slug"], "/" + request.path_params["path"]
        forwarded = [(name, value) for name, value in scope["headers"] if name not in _PAGE_HEADERS]
        host = (b"host", f"{slug}.localhost:{request.url.port or 80}".encode())
        headers = [*forwarded, host, (b"authorization", f"Bearer {self._key}".encode())]
        call = {**scope, "path": path, "raw_path": path.encode(), "root_path": "", "headers": headers}
        await self._invoke(call, receive, send)
