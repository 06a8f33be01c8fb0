from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.container_engine.docker_engine import build_volume_script
from chutes_wrappers.host.container_engine.engine import ContainerSpec, KeptVolume, start_container
from chutes_wrappers.host.container_engine.instance_container import build_instance_spec

CACHE = KeptVolume(name="cache-1", target="/cache", uid=1000)


def test_the_hosts_variables_win_over_the_images_and_the_users() -> None:
    spec = build_instance_spec("i:1", command=[], environment={"HF_HOME": "/models", "VENDOR": "yes"})
    assert (spec.environment["HF_HOME"], spec.environment["CIVITAI_HOME"]) == ("/cache", "/cache/civitai")
    assert (spec.environment["VENDOR"], spec.environment["CHUTES_EXECUTION_CONTEXT"]) == ("yes", "REMOTE")
    assert {"NCCL_P2P_DISABLE", "TOKIO_WORKER_THREADS", "VLLM_DISABLE_TELEMETRY"} <= spec.environment.keys()


def test_an_instance_has_ipc_lock_alone_and_the_sandbox() -> None:
    spec = build_instance_spec("i:1", command=[])
    assert spec.capabilities == ("IPC_LOCK",)
    assert "chroot" in str(spec.seccomp_profile)


def test_a_cache_takes_the_place_of_the_empty_volume() -> None:
    assert [*build_instance_spec("i:1", command=[]).empty_volumes] == ["/tmp", "/cache"]
    spec = build_instance_spec("i:1", command=[], cache=CACHE)
    assert ([*spec.empty_volumes], [*spec.kept_volumes]) == (["/tmp"], [CACHE])


def test_an_empty_volume_is_everybodys_and_a_kept_one_the_instances() -> None:
    script = build_volume_script(["/tmp", "/odd path"], [CACHE])
    assert script == "/bin/chmod 1777 /tmp && /bin/chmod 1777 '/odd path' && /bin/chown 1000:1000 /cache"


class RejectingEngine:
    """Rejects what ``messages`` are about, one after the other."""

    def __init__(self, *messages: str) -> None:
        self._messages = [*messages]
        self.specs: list[ContainerSpec] = []

    @contextmanager
    def run(self, spec: ContainerSpec) -> Iterator[Any]:
        self.specs.append(spec)
        if self._messages:
            raise WrapperError(self._messages.pop(0))
        yield "container"


def test_an_engine_without_gpu_and_seccomp_runs_the_container_without_them_and_says_so() -> None:
    engine: Any = RejectingEngine("could not select device driver", "seccomp is not enabled in your kernel")
    spec, reports = build_instance_spec("i:1", command=[]), list[str]()
    with start_container(engine, spec, reports.append) as container:
        assert container == "container"  # type: ignore[comparison-overlap]  # the fake's
    assert engine.specs == [spec, replace(spec, gpus=None), replace(spec, gpus=None, seccomp_profile=None)]
    assert "no GPU available" in reports[0]
    assert "accepts no seccomp profile" in reports[1]


def test_any_other_rejection_is_raised() -> None:
    engine: Any = RejectingEngine("no such image")
    with (
        pytest.raises(WrapperError, match="no such image"),
        start_container(engine, build_instance_spec("i:1", command=[]), print),
    ):
        pytest.fail("started")
