"""One chute of a running platform, for the parity check: facts that clients cannot request."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import aiohttp

from chutes_wrappers.emulator.instances import AtCapacity, Instances, NoInstance
from chutes_wrappers.emulator.records import ChuteRecord, InstanceRecord, InstanceState
from chutes_wrappers.emulator.runner import DIRECT_PATH
from chutes_wrappers.emulator.transport import InvalidResponse
from chutes_wrappers.host.document_client.direct_request import DirectRequest
from chutes_wrappers.host.parity.comparison import HttpResponse

_T = TypeVar("_T")
_INSTANCE_TIMEOUT_S = 600.0
# Of a call without another limit (CHUTE_CHECKS).
DIRECT_TIMEOUT_S = 30.0
# So much of a stream that may have no end is compared.
STREAM_SAMPLE_S = 3.0
_DIRECT_MARGIN_S = 10.0
_FREE_SLOT_S = 10.0
_POLL_S = 0.05


@dataclass(frozen=True, kw_only=True)
class CallPreparation:
    """The newest instance before a call, and the instances that were ``disabled`` until then.

    ``is_occupied``: it accepts no call, since earlier ones do not end. A stream without an end uses its slot until the
    platform notices that its client has gone.
    """

    disabled: list[InstanceRecord]
    instance: InstanceRecord
    is_occupied: bool


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
        return self.prepare_call().disabled

    def prepare_call(self) -> CallPreparation:
        """Do what ``make_available`` does, and wait some seconds until an instance can accept a call."""
        return self._run(self._prepare_call())

    async def _prepare_call(self) -> CallPreparation:
        with contextlib.suppress(NoInstance):
            await self._instances.wait_until_active(self.record, wait_s=_INSTANCE_TIMEOUT_S)
        disabled = self._instances.enable(self.record)
        newest = self._instances.list_records(self.record.chute_id)[-1]
        deadline, is_occupied = time.monotonic() + _FREE_SLOT_S, newest.state is InstanceState.ACTIVE
        while is_occupied and not self._instances.has_free_slot(self.record):
            if time.monotonic() > deadline:
                return CallPreparation(disabled=disabled, instance=newest, is_occupied=True)
            await asyncio.sleep(_POLL_S)
        return CallPreparation(disabled=disabled, instance=newest, is_occupied=False)

    def send_direct(
        self, request: DirectRequest, timeout_s: float = DIRECT_TIMEOUT_S, sample_s: float = STREAM_SAMPLE_S
    ) -> HttpResponse:
        """Send a request directly to the wrapped service in an instance, without the chute, and return its response.

        It must arrive within ``timeout_s`` seconds; of a stream that may have no end, ``sample_s`` seconds are read.
        """
        return self._run(self._send_direct(request, timeout_s, sample_s))

    async def _send_direct(self, request: DirectRequest, timeout_s: float, sample_s: float) -> HttpResponse:
        started = time.monotonic()
        payload = build_direct_call(request, timeout_s, sample_s)
        try:
            await self._instances.wait_until_active(self.record, wait_s=_INSTANCE_TIMEOUT_S)
            async with (
                self._instances.lease(self.record, is_check=True) as instance,
                instance.client.post(DIRECT_PATH, payload, timeout_s=timeout_s + _DIRECT_MARGIN_S) as response,
            ):
                instance.mark_used()
                result = json.loads((await response.read_value())["json"])
        except AtCapacity as error:
            return HttpResponse(status=0, problem=str(error), problem_kind="occupied")
        except (NoInstance, InvalidResponse, aiohttp.ClientError, asyncio.TimeoutError) as error:
            return HttpResponse(status=0, problem=f"{type(error).__name__}: {error}", problem_kind="broken")
        seconds = time.monotonic() - started
        if "problem" in result:
            return HttpResponse(status=0, problem=result["problem"], problem_kind=result["kind"], seconds=seconds)
        return HttpResponse(
            status=result["status"],
            content_type=result["content_type"],
            body=base64.b64decode(result["body"]),
            seconds=seconds,
            challenge=result.get("challenge", ""),
            is_cut=result.get("is_cut", False),
        )

    def _run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        result: _T = self._run_on_loop(coroutine)
        return result


def build_direct_call(request: DirectRequest, timeout_s: float, sample_s: float) -> dict[str, Any]:
    """Return what an instance gets for a direct request (emulator/runner.py)."""
    return {
        "timeout": timeout_s,
        "sample": sample_s,
        "port": request.port,
        "method": request.method,
        "target": request.target,
        "headers": dict(request.headers),
        "body": base64.b64encode(request.body).decode(),
        "route": request.route,
    }
