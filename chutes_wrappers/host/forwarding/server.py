"""A server on this machine's loopback addresses that sends every request through a transport."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.local_guard import AllowList, LocalGuard
from chutes_wrappers.host.forwarding.client_connection import (
    PIECE_BYTES,
    ClientConnection,
    ClientDisconnected,
    ConnectionContext,
)
from chutes_wrappers.host.forwarding.local_names import LocalNames
from chutes_wrappers.host.forwarding.transport import Transport
from chutes_wrappers.host.local_ports import open_loopback_sockets

HOST = "127.0.0.1"


class ForwardingServer:
    """Listens on ``local_port`` for the service on ``service_port``. A context manager, whose end cancels every call.

    Calls cost the user money: pages of other sites and foreign hosts get 403, unless they are ``allowed``. ``browser_name`` is the
    chute's name for browsers. ``other_ports`` are the services' ports by the local port of the chute's other servers.
    """

    def __init__(
        self,
        local_port: int,
        service_port: int,
        transport: Transport,
        report: Callable[[str], None],
        allowed: AllowList | None = None,
        *,
        browser_name: str,
        other_ports: Mapping[int, int] | None = None,
    ) -> None:
        self._local_port = local_port
        self._service_port = service_port
        self._transport = transport
        self._report = report
        self._allowed = allowed or AllowList()
        self._browser_name = browser_name
        self._other_ports = dict(other_ports or {})
        self._clients: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self._context = self._build_context(local_port)

    @property
    def port(self) -> int:
        """The port that it listens on: ``local_port``, unless that was 0."""
        return self._context.names.port

    async def __aenter__(self) -> ForwardingServer:
        try:
            sockets = open_loopback_sockets(self._local_port)
        except OSError as error:
            raise ConfigurationError(
                f"port {self._local_port} of this machine cannot be used ({error.strerror or error})",
                next_step=f"stop the program that listens there, or use another port: --listen {self._local_port + 10000}:{self._service_port}",
            ) from error
        self._context = self._build_context(sockets[0].getsockname()[1])
        self._servers = [await asyncio.start_server(self._serve, sock=each, limit=PIECE_BYTES) for each in sockets]
        return self

    def _build_context(self, port: int) -> ConnectionContext:
        names = LocalNames(
            browser_name=self._browser_name,
            port=port,
            service_ports={**self._other_ports, port: self._service_port},
            foreign=self._allowed.hosts,
        )
        guard = LocalGuard(
            loopback_origins=True, allowed=self._allowed, is_own_host=lambda name: name == self._browser_name
        )
        return ConnectionContext(names=names, transport=self._transport, report=self._report, guard=guard)

    async def __aexit__(self, *exception: object) -> None:
        for server in self._servers:
            server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.current_task()
        assert client is not None
        self._clients.add(client)
        try:
            await ClientConnection(reader, writer, self._context).serve()
        except (ClientDisconnected, OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._clients.discard(client)
            writer.close()
