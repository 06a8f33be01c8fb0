"""A parity check between two functions: the platform and the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from chutes_wrappers.core.cord_plan import PlannedCord
from chutes_wrappers.host.document_client.direct_client import DirectClient
from chutes_wrappers.host.document_client.direct_request import DirectRequest
from chutes_wrappers.host.parity.comparison import HttpResponse
from chutes_wrappers.host.parity.example_calls import ExampleCalls, PublicCall
from chutes_wrappers.host.parity.parity_check import Exchange, ParityCheck


def make_check(
    cords: Sequence[PlannedCord],
    call_platform: Callable[[PublicCall, float], HttpResponse],
    call_service: Callable[[DirectRequest, float], HttpResponse],
    *,
    read_service: Callable[[DirectRequest, float], HttpResponse] | None = None,
    examples: Mapping[str, Any] = {},  # never changed
    is_listening: Callable[[int], bool] = lambda port: True,
    restart_service: Callable[[str], None] = lambda reason: None,
    **options: Any,
) -> ParityCheck:
    """Build a check with these ends, whose direct requests are made from the routes."""
    exchange = Exchange(
        call_platform=call_platform,
        call_service=call_service,
        read_service=read_service or call_service,
        build_request=lambda cord, example: DirectClient().build_request(cord.route, cord.port, example),
        is_listening=is_listening,
        restart_service=restart_service,
    )
    calls = ExampleCalls(cords=cords, examples=examples, folder=Path("."))
    return ParityCheck(calls=calls, exchange=exchange, **options)
