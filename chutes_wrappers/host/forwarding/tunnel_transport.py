"""Calls through a chute's tunnel (``register_tunnel``): everything comes back as the service sent it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

import aiohttp

from chutes_wrappers.host.forwarding.chute_client import Chute, PublicCall, read_at_most
from chutes_wrappers.host.forwarding.public_responses import explained
from chutes_wrappers.host.forwarding.transport import Answer, NotCarried
from chutes_wrappers.runtime.tunnel_frames import (
    PUBLIC_PATH,
    Data,
    End,
    Failed,
    Frame,
    Head,
    TunnelBroken,
    TunnelCall,
    Wait,
    call_length,
    call_pieces,
    decode,
)

_LARGEST_EXPLANATION_BYTES = 64 * 1024


class TunnelCarrier:
    """Carries calls through the tunnel of ``chute``."""

    def __init__(self, chute: Chute) -> None:
        self._chute = chute

    @contextlib.asynccontextmanager
    async def carry(self, call: TunnelCall) -> AsyncIterator[Answer]:
        """See Carrier."""

        async def pieces() -> AsyncIterator[bytes]:
            for piece in call_pieces(call):
                yield piece

        public = PublicCall(method="POST", path=PUBLIC_PATH, pieces=pieces, length=call_length(call))
        async with self._chute.call(public) as answer:
            if answer.status != 200:
                raise explained(answer.status, await read_at_most(answer, _LARGEST_EXPLANATION_BYTES))
            async with contextlib.aclosing(_frames(answer.content)) as frames:
                head = await anext(frames)
                if not isinstance(head, Head):
                    raise NotCarried(502, "the tunnel's answer has no beginning")
                yield Answer(head=head, pieces=_pieces(frames))


async def _frames(lines: aiohttp.StreamReader) -> AsyncGenerator[Frame, None]:
    """What the tunnel says; without an end it is cut off."""
    try:
        async for line in lines:
            if not line.strip():
                continue
            frame = decode(line)
            if isinstance(frame, Failed):
                raise NotCarried(502, frame.error)
            if not isinstance(frame, Wait):
                yield frame
            if isinstance(frame, End):
                return
    except (TunnelBroken, ValueError) as error:
        raise NotCarried(502, str(error)) from error
    raise NotCarried(502, "the tunnel's answer was cut off")


async def _pieces(frames: AsyncIterator[Frame]) -> AsyncIterator[bytes]:
    async for frame in frames:
        if isinstance(frame, Data):
            yield frame.data
