"""One chute of a running platform, for the parity check: facts that clients cannot request."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import aiohttp

from chutes_wrappers.core.platform_rules import API_CALL_LIMIT_S
from chutes_wrappers.emulator.instances import AtCapacity, Instances, NoInstance
from chutes_wrappers.emulator.records import ChuteRecord, InstanceRecord
from chutes_wrappers.emulator.runner import DIRECT_PATH
from chutes_wrappers.emulator.transport import InvalidResponse
from chutes_wrappers.host.parity.comparison import HttpResponse
from chutes_wrappers.host.parity.direct_request import DirectRequest

_T = TypeVar("_T")
_INSTANCE_TIMEOUT_S = 600.0


class DeployedChute:
    """The latest version of a chute. Call its methods from any thread except the platform's.

    ``run_on_loop`` runs a coroutine on the platform's event loop and returns its result.
    """

    def __init__(
        self, record: ChuteRecord, instances: Instances, run_on_loop: Callable[[Coroutine[Any, Any, Any]], Any]
    ) -> None:
        self.record = record
        self._instances = instances
        self._run_on_loop = run_on_loop

    def get_newest_instance(self) -> InstanceRecord:
        """Return the record of the instance that was started last."""

        async def newest() -> InstanceRecord:
            return self._instances.list_records(self.record.chute_id)[-1]

        return self._run(newest())

    def measure_longest_start_s(self) -> float:
        """Return how many seconds the slowest start of its instances took; 0 when none has been active."""

        async def measure() -> float:
            records = self._instances.list_records(self.record.chute_id)
            return max((each.active_since - each.started_at for each in records if each.active_since), default=0.0)

        return self._run(measure())

    def replace_instances(self, reason: str, environment: Mapping[str, str] | None = None) -> None:
        """Replace its instances by one, which also gets ``environment``. Returns when the old ones are gone.

        ``reason`` is a sentence about their end.
        """
        record = replace(self.record, environment={**self.record.environment, **(environment or {})})
        self._run(self._instances.replace_instances(record, reason))

    def list_listening_ports(self) -> Collection[int]:
        """Return the ports that its newest instance listens on now."""
        return self._run(self._instances.list_listening_ports(self.record.chute_id))

    def make_available(self) -> list[InstanceRecord]:
        """Make sure that the next call gets an instance: wait for one, and enable those that failed calls disabled.

        Return the records of the latter. Without an instance the next call gets the platform's 503.
        """

        async def make() -> list[InstanceRecord]:
            with contextlib.suppress(NoInstance):
                await self._instances.wait_until_active(self.record, wait_s=_INSTANCE_TIMEOUT_S)
            return self._instances.enable(self.record)

        return self._run(make())

    def send_direct(self, request: DirectRequest) -> HttpResponse:
        """Send a request directly to the wrapped service in an instance, without the chute, and return its response."""
        return self._run(self._send_direct(request))

    async def _send_direct(self, request: DirectRequest) -> HttpResponse:
        payload = {
            "port": request.port,
            "method": request.method,
            "target": request.target,
            "headers": dict(request.headers),
            "body": base64.b64encode(request.body).decode(),
        }
        try:
            await self._instances.wait_until_active(self.record, wait_s=_INSTANCE_TIMEOUT_S)
            async with (
                self._instances.lease(self.record, is_check=True) as instance,
                instance.client.post(DIRECT_PATH, payload, timeout_s=API_CALL_LIMIT_S) as response,
            ):
                instance.mark_used()
                result = json.loads((await response.read_value())["json"])
        except (AtCapacity, NoInstance, InvalidResponse, aiohttp.ClientError, asyncio.TimeoutError) as error:
            return HttpResponse(status=0, problem=f"{type(error).__name__}: {error}")
        if "problem" in result:
            return HttpResponse(status=0, problem=result["problem"])
        body = base64.b64decode(result["body"])
        return HttpResponse(status=result["status"], content_type=result["content_type"], body=body)

    def _run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        result: _T = self._run_on_loop(coroutine)
        return result
