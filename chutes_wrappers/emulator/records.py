"""Records of chutes, instances and calls. The API returns them, and launchers run them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True, kw_only=True)
class CordRecord:
    """A cord as ``chutes deploy`` sends it (SDK ``entrypoint/deploy.py``), with its input and output schemas."""

    method: str
    path: str
    public_api_path: str
    public_api_method: str
    stream: bool
    passthrough: bool
    function: str
    input_schema: Mapping[str, object] | None = None
    output_schema: Mapping[str, object] | None = None
    output_content_type: str | None = None
    minimal_input_schema: Mapping[str, object] | None = None


@dataclass(frozen=True, kw_only=True)
class ChuteRecord:
    """One version of a deployed chute. ``image`` is the reference of its built image in the engine, None without an engine.

    ``code`` is the uploaded source of the module, ``reference`` the SDK's ``module:variable``. ``environment`` has the
    chute's secrets, which instances get before they load the module. ``standard_template`` is the SDK template that the chute
    declares (``vllm``, ``diffusion``, …). A disabled chute, and one whose owner has no dollars in ``owner_balance``, gets no calls.
    """

    chute_id: str
    version: str
    name: str
    slug: str
    username: str
    filename: str
    reference: str
    code: str
    image: str | None
    cords: tuple[CordRecord, ...]
    concurrency: int
    max_instances: int
    scaling_threshold: float
    shutdown_after_s: float
    allow_external_egress: bool
    standard_template: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_disabled: bool = False
    owner_balance: float = math.inf


class InstanceState(str, Enum):
    """The state of an instance: launched, ready for calls, or gone with the reason in its record."""

    STARTING = "starting"
    ACTIVE = "active"
    GONE = "gone"


@dataclass(frozen=True, kw_only=True)
class InstanceRecord:
    """The current data of one instance. Times are unix seconds; ``failures`` counts consecutive failed calls.

    ``disabled_until``: the platform sends it no calls until then. ``last_failure`` and ``ended_because`` are sentences for the
    chute's owner, or empty.
    """

    instance_id: str
    chute_id: str
    version: str
    state: InstanceState
    started_at: float
    active_since: float | None = None
    running_calls: int = 0
    failures: int = 0
    disabled_until: float | None = None
    last_failure: str = ""
    ended_because: str = ""


@dataclass(frozen=True, kw_only=True)
class CallRecord:
    """One call to a chute. ``started_at`` is in unix seconds; ``path`` is the public path, without the query.

    ``invocation_id`` is what the response's header ``X-Chutes-InvocationID`` contains. ``status`` is the client's status,
    ``instance_status`` the instance's (None when no instance responded). ``failure`` is why the call counted against the
    instance or got no instance; else it is empty.
    """

    chute_id: str
    invocation_id: str
    instance_id: str | None
    method: str
    path: str
    status: int
    instance_status: int | None
    started_at: float
    duration_s: float
    failure: str = ""
