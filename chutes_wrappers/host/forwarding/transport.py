"""What stands between the server on this machine and the ways to a chute."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from chutes_wrappers.runtime.tunnel_frames import Head, TunnelCall


class ForwardingError(Exception):
    """A call that could not be made, or its answer not be had: the client is told in ``text``, with ``status``.

    Raised while an answer's pieces are read it means that the rest is lost.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, kw_only=True)
class ForwardedResponse:
    """The service's answer: its head, and its bytes as they come."""

    head: Head
    pieces: AsyncIterator[bytes]


class Transport(Protocol):
    """A way to a chute's services."""

    def send(self, call: TunnelCall) -> AbstractAsyncContextManager[ForwardedResponse]:
        """Make ``call``; leaving the context ends it, wherever it is. ForwardingError says why there is no answer."""
