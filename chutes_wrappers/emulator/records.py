"""What the emulated platform knows of a chute and of its instances: values that its API writes and its instances run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True, kw_only=True)
class CordRecord:
    """A cord as ``chutes deploy`` sends it (SDK ``entrypoint/deploy.py``); the schemas are those of its request body."""

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
    """One version of a deployed chute. ``image`` is the engine's reference of its built image, None without an engine.

    ``code`` is the module's source as it was uploaded, ``reference`` the SDK's ``module:variable``. ``environment`` holds
    the chute's secrets, which its instances get before they load the module. ``standard_template`` names the SDK's template
    that the chute says it was made from (``vllm``, ``diffusion``, …).
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


class InstanceState(str, Enum):
    """Where an instance is in its life: launched, ready for calls, or gone with the reason in its record."""

    STARTING = "starting"
    ACTIVE = "active"
    GONE = "gone"


@dataclass(frozen=True, kw_only=True)
class InstanceRecord:
    """One instance as it stands. Times are unix seconds; ``failures`` counts calls that failed in a row.

    ``last_failure`` and ``ended_because`` are sentences for the chute's owner, empty while there is nothing to say.
    """

    instance_id: str
    chute_id: str
    version: str
    state: InstanceState
    started_at: float
    active_since: float | None = None
    running_calls: int = 0
    failures: int = 0
    last_failure: str = ""
    ended_because: str = ""


@dataclass(frozen=True, kw_only=True)
class CallRecord:
    """One call that went to a chute. ``started_at`` is in unix seconds; ``path`` is the public one, without a query.

    ``status`` is what the client saw, ``instance_status`` what the instance answered (None: none did). ``failure`` says why
    the call counted against the instance, or found none; empty when nothing is wrong with the platform's side.
    """

    chute_id: str
    instance_id: str | None
    method: str
    path: str
    status: int
    instance_status: int | None
    started_at: float
    duration_s: float
    failure: str = ""
