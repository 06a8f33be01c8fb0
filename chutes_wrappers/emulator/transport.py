"""The platform's side of a call to an instance: payload → gzip → encryption, and back.

It is the counterpart of the SDK on the instance (entrypoint/run.py, GraValMiddleware; chute/cord.py). The path is encrypted
too. A plain response is JSON with one encrypted value. A stream has one encrypted line for each chunk.
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
from typing import Any

import aiohttp
import orjson
from yarl import URL

from chutes_wrappers.emulator.runner import NONCE_HEADER, SIGNATURE_HEADER, SessionCipher
from chutes_wrappers.host.async_sessions import AsyncSession

_PING_TIMEOUT_S = 5.0
_READ_BUFFER_BYTES = 8 * 1024**2
_MAX_ERROR_BYTES = 4 * 1024**2
# The 512 MiB that a route returns (runtime/gateway.py), encrypted and twice in base64.
_MAX_ENVELOPE_BYTES = 1024**3


class InvalidResponse(Exception):
    """The response of an instance is not valid, or not encrypted with its key."""


def encrypt_path(cipher: SessionCipher, path: str) -> str:
    """Return the encrypted path of a request for ``path``."""
    return "/" + cipher.encrypt(path.encode()).hex()


def encrypt_body(cipher: SessionCipher, payload: object) -> bytes:
    """Return the encrypted body of a request with a JSON value."""
    return base64.b64encode(cipher.encrypt(gzip.compress(orjson.dumps(payload), compresslevel=1)))


def decrypt_value(cipher: SessionCipher, encrypted: str | bytes) -> bytes:
    """Return the plain bytes of one encrypted value. Raises InvalidResponse with the reason."""
    try:
        compressed = cipher.decrypt(base64.b64decode(encrypted, validate=True))
    except (binascii.Error, ValueError) as error:
        raise InvalidResponse("a value of the response is not base64") from error
    if compressed is None:
        raise InvalidResponse("a value of the response is not encrypted with this instance's key")
    try:
        return gzip.decompress(compressed)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidResponse("a value of the response is not compressed") from error


def build_signed_headers(cipher: SessionCipher, body: bytes) -> Mapping[str, str]:
    """Return the headers that authenticate the platform to an instance."""
    nonce = str(int(time.time()))
    return {NONCE_HEADER: nonce, SIGNATURE_HEADER: cipher.sign(nonce, body), "Content-Type": "application/json"}


class InstanceResponse:
    """The response of an instance. It can be read once."""

    def __init__(self, response: aiohttp.ClientResponse, cipher: SessionCipher) -> None:
        self._response = response
        self._cipher = cipher

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status

    async def read_text(self) -> str:
        """Return the beginning of the body, unchanged. Used for errors, which are not encrypted."""
        return (await self._read(_MAX_ERROR_BYTES))[:_MAX_ERROR_BYTES].decode("utf-8", "replace")

    async def read_value(self) -> Mapping[str, Any]:
        """Return the JSON object of a plain response, its ``json`` or ``body`` decrypted to bytes. Raises InvalidResponse."""
        try:
            body = await self._read(_MAX_ENVELOPE_BYTES)
            if len(body) > _MAX_ENVELOPE_BYTES:
                raise InvalidResponse(f"the response is larger than {_MAX_ENVELOPE_BYTES // 1024**2} MiB")
            envelope = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise InvalidResponse("the response is not JSON") from error
        if not isinstance(envelope, dict) or not ({"json", "body"} & envelope.keys()):
            raise InvalidResponse("the response has no encrypted value")
        return {
            key: decrypt_value(self._cipher, item) if key in ("json", "body") else item
            for key, item in envelope.items()
        }

    async def read_chunks(self) -> AsyncIterator[bytes]:
        """Yield the decrypted chunks of a stream. Raises InvalidResponse for an invalid line, and for one without an end."""
        pending = bytearray()
        async for data in self._response.content.iter_any():
            pending += data
            *lines, rest = pending.split(b"\n") if b"\n" in data else (pending,)
            for line in lines:
                if line.strip():
                    yield decrypt_value(self._cipher, bytes(line))
            pending = rest
            if len(pending) > _MAX_ENVELOPE_BYTES:
                raise InvalidResponse("a line of the stream is too long")
        if pending.strip():
            yield decrypt_value(self._cipher, bytes(pending))

    async def _read(self, max_bytes: int) -> bytes:
        """Return the body, or more than ``max_bytes`` of it: a program of the image may send without an end."""
        body = bytearray()
        async for piece in self._response.content.iter_any():
            body += piece
            if len(body) > max_bytes:
                break
        return bytes(body)


class InstanceClient:
    """Calls one instance at ``base_url``."""

    def __init__(self, base_url: str, cipher: SessionCipher) -> None:
        self._base_url = base_url
        self._cipher = cipher
        self._session: AsyncSession | None = None

    @asynccontextmanager
    async def post(
        self, path: str, payload: object, *, timeout_s: float | None = None
    ) -> AsyncIterator[InstanceResponse]:
        """Send a JSON value to a path of the instance with POST. Raises aiohttp.ClientError or TimeoutError.

        ``timeout_s`` limits each wait for a byte.
        """
        body = encrypt_body(self._cipher, payload)
        async with self._get_session().request(
            "POST",
            URL(self._base_url + encrypt_path(self._cipher, path)),
            data=body,
            headers=build_signed_headers(self._cipher, body),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeout_s, sock_read=timeout_s),
        ) as response:
            yield InstanceResponse(response, self._cipher)

    async def is_serving(self) -> bool:
        """Whether the chute's server responds to a ping."""
        with contextlib.suppress(
            aiohttp.ClientError, asyncio.TimeoutError, OSError, InvalidResponse, json.JSONDecodeError
        ):
            async with self.post("/_ping", {"ping": "pong"}, timeout_s=_PING_TIMEOUT_S) as response:
                return response.status == 200 and json.loads((await response.read_value())["json"]) == {"ping": "pong"}
        return False

    async def close(self) -> None:
        """Close all connections. Running calls fail."""
        if self._session is not None:
            await self._session.close()

    def _get_session(self) -> AsyncSession:
        # Created with the first call: a session belongs to the event loop in which it is created.
        if self._session is None:
            self._session = AsyncSession(read_bufsize=_READ_BUFFER_BYTES, auto_decompress=False)
        return self._session
