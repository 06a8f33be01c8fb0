"""One chute of a running platform, seen from inside: what no client could ask, and a rehearsal must know."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Collection, Coroutine
from typing import Any, TypeVar

import aiohttp

from chutes_wrappers.emulator.instances import AtCapacity, Instances, NoInstance
from chutes_wrappers.emulator.records import ChuteRecord, InstanceRecord
from chutes_wrappers.emulator.runner import DIRECT_PATH
from chutes_wrappers.emulator.transport import Unreadable
from chutes_wrappers.host.parity.comparison import Exchange
from chutes_wrappers.host.parity.direct_request import DirectRequest

_T = TypeVar("_T")
_DIRECT_TIMEOUT_S = 600.0


class DeployedChute:
    """A chute as it was deployed last. Its methods may be called from any thread but the platform's own.

    ``on_loop`` runs a coroutine on the platform's event loop; it and ``instances`` are the platform's.
    """

    def __init__(
        self, record: ChuteRecord, instances: Instances, on_loop: Callable[[Coroutine[Any, Any, Any]], Any]
    ) -> None:
        self.record = record
        self._instances = instances
        self._on_loop = on_loop

    def newest_instance(self) -> InstanceRecord:
        """The instance that was started last."""

        async def newest() -> InstanceRecord:
            return self._instances.of(self.record.chute_id)[-1]

        return self._run(newest())

    def listening(self) -> Collection[int]:
        """The ports that its newest instance listens on now."""
        return self._run(self._instances.listening(self.record.chute_id))

    def direct(self, request: DirectRequest) -> Exchange:
        """What the wrapped service in an instance answers to a request of its own clients."""
        return self._run(self._direct(request))

    async def _direct(self, request: DirectRequest) -> Exchange:
        wanted = {
            "port": request.port,
            "method": request.method,
            "target": request.target,
            "headers": dict(request.headers),
            "body": base64.b64encode(request.body).decode(),
        }
        try:
            async with (
                self._instances.lease(self.record, wait_s=_DIRECT_TIMEOUT_S) as instance,
                instance.client.post(DIRECT_PATH, wanted, timeout_s=_DIRECT_TIMEOUT_S) as answer,
            ):
                told = json.loads((await answer.value())["json"])
        except (AtCapacity, NoInstance, Unreadable, aiohttp.ClientError, asyncio.TimeoutError) as error:
            return Exchange(status=0, problem=f"{type(error).__name__}: {error}")
        if "problem" in told:
            return Exchange(status=0, problem=told["problem"])
        body = base64.b64decode(told["body"])
        return Exchange(status=told["status"], content_type=told["content_type"], body=body)

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        found: _T = self._on_loop(work)
        return found
