"""The protocol of a transport: a way from the server on this machine to a chute."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from chutes_wrappers.runtime.tunnel_frames import Head, TunnelCall


class ForwardingError(Exception):
    """A call that failed, or has no complete response: the client gets ``text`` with ``status``.

    Raised while a response's pieces are read, it means that the rest is lost.
    """

    def __init__(self, status: int, text: str) -> None:
        # The text may be a chute's, with characters that no encoding has.
        self.text = text.encode("utf-8", "replace").decode()
        super().__init__(self.text)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class ForwardedResponse:
    """The service's response: its head, and its body in pieces as they arrive."""

    head: Head
    pieces: AsyncIterator[bytes]


class Transport(Protocol):
    """Sends calls to a chute's services."""

    def send(self, call: TunnelCall) -> AbstractAsyncContextManager[ForwardedResponse]:
        """Send ``call`` and yield the response; the end of the context cancels the call. Raise ForwardingError on failure."""
