"""The refusal of a request that a chute's routes cannot carry as the client sent it."""

from __future__ import annotations

from http import HTTPStatus

from chutes_wrappers.host.forwarding.transport import ForwardingError


class TunnelRequired(Exception):
    """A request that only the tunnel carries; the message is the reason, ``status`` what the client gets."""

    def __init__(self, reason: str, *, status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(reason)
        self.status = status

    def to_error(self, module_name: str) -> ForwardingError:
        """Return the error for the client, with the line to add to the module."""
        return ForwardingError(
            self.status,
            f"{self}; only the tunnel carries this: add register_tunnel(chute, SERVICE_PORTS) to {module_name}",
        )
