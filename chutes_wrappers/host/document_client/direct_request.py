"""A request to the wrapped service itself, past the platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class DirectRequest:
    """A request to the service. ``target`` is path and query, encoded. ``headers`` are all headers but those of the connection.

    ``route`` is the public method and path of the route that it belongs to, empty without one.
    """

    port: int
    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # they may be secrets
    body: bytes = field(default=b"", repr=False)
    route: str = ""
