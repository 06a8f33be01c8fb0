"""The transport through a chute's tunnel (``register_tunnel``), which returns responses as the service sent them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

import aiohttp

from chutes_wrappers.host.forwarding.chute_client import Chute, PublicCall, read_invocation_id
from chutes_wrappers.host.forwarding.public_responses import build_forwarding_error
from chutes_wrappers.host.forwarding.transport import ForwardedResponse, ForwardingError
from chutes_wrappers.runtime.tunnel_frames import (
    PUBLIC_PATH,
    Data,
    End,
    Failure,
    Frame,
    Head,
    TunnelBroken,
    TunnelCall,
    Wait,
    compute_call_length,
    decode,
    iter_call_pieces,
)


class TunnelTransport:
    """The Transport through the tunnel of ``chute``."""

    def __init__(self, chute: Chute) -> None:
        self._chute = chute

    @contextlib.asynccontextmanager
    async def send(self, call: TunnelCall) -> AsyncIterator[ForwardedResponse]:
        async def pieces() -> AsyncIterator[bytes]:
            for piece in iter_call_pieces(call):
                yield piece

        public = PublicCall(method="POST", path=PUBLIC_PATH, pieces=pieces, length=compute_call_length(call))
        async with self._chute.call(public) as response:
            if response.status != 200:
                body = await self._chute.read_error(response)
                raise build_forwarding_error(response.status, body, read_invocation_id(response))
            async with contextlib.aclosing(_read_frames(response.content)) as frames:
                head = await anext(frames)
                if not isinstance(head, Head):
                    raise ForwardingError(502, "the tunnel's response has no head")
                yield ForwardedResponse(head=head, pieces=_read_pieces(frames))


async def _read_frames(lines: aiohttp.StreamReader) -> AsyncGenerator[Frame, None]:
    """Yield the tunnel's frames. A response without an End frame was truncated."""
    try:
        async for line in lines:
            if not line.strip():
                continue
            frame = decode(line)
            if isinstance(frame, Failure):
                raise ForwardingError(502, frame.error)
            if not isinstance(frame, Wait):
                yield frame
            if isinstance(frame, End):
                return
    except (TunnelBroken, ValueError) as error:
        raise ForwardingError(502, str(error)) from error
    raise ForwardingError(502, "the tunnel's response was truncated")


async def _read_pieces(frames: AsyncIterator[Frame]) -> AsyncIterator[bytes]:
    async for frame in frames:
        if isinstance(frame, Data):
            yield frame.data
