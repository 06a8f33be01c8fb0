"""The platform's side of a call to an instance: payload → gzip → encryption, and back.

What the SDK undoes and does on the instance (entrypoint/run.py, GraValMiddleware; chute/cord.py) in the same places: the
path is encrypted too, an answer is JSON around one encrypted value, a stream is one encrypted line a chunk.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import gzip
import json
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiohttp
import orjson

from chutes_wrappers.emulator.runner import NONCE_HEADER, SIGNATURE_HEADER, Seal

_PING_TIMEOUT_S = 5.0
_READ_BUFFER_BYTES = 8 * 1024**2


class Unreadable(Exception):
    """What an instance answered is not what was encrypted with its key."""


def sealed_path(seal: Seal, path: str) -> str:
    """The path of the request for ``path``."""
    return "/" + seal.encrypt(path.encode()).hex()


def sealed_body(seal: Seal, payload: object) -> bytes:
    """The body of the request with a JSON value."""
    return base64.b64encode(seal.encrypt(gzip.compress(orjson.dumps(payload), compresslevel=1)))


def opened(seal: Seal, sealed: str | bytes) -> bytes:
    """What one encrypted value held; Unreadable says what is wrong with it."""
    try:
        compressed = seal.decrypt(base64.b64decode(sealed, validate=True))
    except (binascii.Error, ValueError) as error:
        raise Unreadable("a value of the answer is not base64") from error
    if compressed is None:
        raise Unreadable("a value of the answer is not encrypted with this instance's key")
    try:
        return gzip.decompress(compressed)
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable("a value of the answer is not compressed") from error


def signed_headers(seal: Seal, body: bytes) -> Mapping[str, str]:
    """The headers that show an instance who calls."""
    nonce = str(int(time.time()))
    return {NONCE_HEADER: nonce, SIGNATURE_HEADER: seal.sign(nonce, body), "Content-Type": "application/json"}


class InstanceAnswer(Protocol):
    """An instance's answer, to be read once."""

    @property
    def status(self) -> int:
        """Its HTTP status."""
        ...

    async def text(self) -> str:
        """Its body as it came, for errors, which are not encrypted."""
        ...

    async def value(self) -> Mapping[str, Any]:
        """The JSON object around a plain answer, its ``json`` or ``body`` decrypted to bytes; Unreadable otherwise."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The decrypted chunks of a stream as they come; Unreadable for a line that is none."""
        ...


class _HttpAnswer:
    def __init__(self, response: aiohttp.ClientResponse, seal: Seal) -> None:
        self._response = response
        self._seal = seal

    @property
    def status(self) -> int:
        return self._response.status

    async def text(self) -> str:
        return (await self._response.read()).decode("utf-8", "replace")

    async def value(self) -> Mapping[str, Any]:
        try:
            outer = orjson.loads(await self._response.read())
        except orjson.JSONDecodeError as error:
            raise Unreadable("the answer is not JSON") from error
        if not isinstance(outer, dict) or not ({"json", "body"} & outer.keys()):
            raise Unreadable("the answer has no encrypted value")
        return {key: opened(self._seal, item) if key in ("json", "body") else item for key, item in outer.items()}

    async def chunks(self) -> AsyncIterator[bytes]:
        pending = bytearray()
        async for piece in self._response.content.iter_any():
            pending += piece
            *lines, rest = pending.split(b"\n") if b"\n" in piece else (pending,)
            for line in lines:
                if line.strip():
                    yield opened(self._seal, bytes(line))
            pending = rest
        if pending.strip():
            yield opened(self._seal, bytes(pending))


class InstanceClient:
    """Calls one instance at ``base_url``."""

    def __init__(self, base_url: str, seal: Seal) -> None:
        self._base_url = base_url
        self._seal = seal
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def post(
        self, path: str, payload: object, *, timeout_s: float | None = None
    ) -> AsyncIterator[InstanceAnswer]:
        """``POST`` a JSON value to a path of the instance; aiohttp.ClientError or TimeoutError when it does not answer."""
        body = sealed_body(self._seal, payload)
        async with self._open_session().post(
            self._base_url + sealed_path(self._seal, path),
            data=body,
            headers=signed_headers(self._seal, body),
            timeout=aiohttp.ClientTimeout(total=timeout_s),
        ) as response:
            yield _HttpAnswer(response, self._seal)

    async def is_serving(self) -> bool:
        """Whether the chute's own server echoes a ping."""
        with contextlib.suppress(aiohttp.ClientError, asyncio.TimeoutError, OSError, Unreadable, json.JSONDecodeError):
            async with self.post("/_ping", {"ping": "pong"}, timeout_s=_PING_TIMEOUT_S) as answer:
                return answer.status == 200 and json.loads((await answer.value())["json"]) == {"ping": "pong"}
        return False

    async def close(self) -> None:
        """Close its connections; calls that still run fail."""
        if self._session is not None:
            await self._session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        # Made with the first call: a session belongs to the event loop that it is made in.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), read_bufsize=_READ_BUFFER_BYTES, auto_decompress=False
            )
        return self._session
