"""Why nothing could be connected to, and whose fault that is."""

from __future__ import annotations

import errno
from collections.abc import Callable
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.runtime import failure_attribution, startup
from chutes_wrappers.runtime.failure_attribution import ServiceHealth
from chutes_wrappers.runtime.readiness import ReadinessProbe

REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
PORT = 8020


@pytest.fixture(autouse=True)
def nothing_was_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "_ready", set())


@pytest.mark.parametrize(
    ("have_failed", "status"), [([], 429), ([False], 429), ([True, False], 429), ([True], 503), ([True, True], 503)]
)
def test_a_service_that_has_exited_before_it_answered_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, have_failed: list[bool], status: int
) -> None:
    monkeypatch.setattr(
        failure_attribution, "get_services", lambda: [SimpleNamespace(has_failed=failed) for failed in have_failed]
    )
    assert ServiceHealth().make_connection_error(PORT, REFUSED).status == status


def test_a_service_that_answered_once_is_not_starting() -> None:
    judged = ServiceHealth()
    assert judged.make_connection_error(PORT, REFUSED).status == 429
    judged.record_success(PORT)
    assert judged.make_connection_error(PORT, REFUSED).status == 503
    assert judged.make_connection_error(PORT + 1, REFUSED).status == 429


KEY = ConnectionKey("127.0.0.1", PORT, False, False, None, None, None)


@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: aiohttp.ClientConnectorError(KEY, error)])
def test_a_connection_that_the_kernel_gave_up_is_a_busy_service(wrap: Callable[[OSError], OSError]) -> None:
    judged = ServiceHealth()
    judged.record_success(PORT)
    refused = judged.make_connection_error(PORT, wrap(OSError(errno.ETIMEDOUT, "timed out")))
    assert (refused.status, "the service is busy" in refused.detail["error"]) == (429, True)


@pytest.fixture
def problems(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the readiness probe finds; the test fills it."""
    found: list[str] = []

    async def look(checks: object, timeout_s: float) -> list[str]:
        return found

    monkeypatch.setattr(failure_attribution, "find_problems", look)
    return found


async def test_the_fifth_failure_in_a_row_is_the_instances_and_every_one_after_it(problems: list[str]) -> None:
    judged = ServiceHealth()
    assert [await judged.record_failure(PORT) for _ in range(6)] == [400, 400, 400, 400, 503, 503]


async def test_a_success_resets_the_count_of_its_port(problems: list[str]) -> None:
    judged = ServiceHealth()
    for port in (PORT, PORT + 1):
        for _ in range(4):
            await judged.record_failure(port)
    judged.record_success(PORT)
    assert (await judged.record_failure(PORT), await judged.record_failure(PORT + 1)) == (400, 503)


async def test_a_failure_of_a_service_that_is_not_ready_is_immediately_the_instances(problems: list[str]) -> None:
    judged = ServiceHealth()
    problems.append("port 8020 refuses connections")
    assert await judged.record_failure(PORT) == 503
    problems.clear()
    assert await judged.record_failure(PORT) == 400


@pytest.mark.parametrize(
    ("spec", "path"), [(None, None), (LaunchSpec(), None), (LaunchSpec(readiness={PORT: "/up"}), "/up")]
)
async def test_the_port_is_probed_at_the_path_that_says_whether_it_is_ready(
    monkeypatch: pytest.MonkeyPatch, spec: LaunchSpec | None, path: str | None
) -> None:
    probed: list[ReadinessProbe] = []

    async def look(checks: list[ReadinessProbe], timeout_s: float) -> list[str]:
        probed.extend(checks)
        return []

    monkeypatch.setattr(failure_attribution, "find_problems", look)
    monkeypatch.setattr(startup, "load_launch_spec", lambda: spec)
    await ServiceHealth().record_failure(PORT)
    assert probed == [ReadinessProbe(host="127.0.0.1", port=PORT, path=path)]


def test_a_service_that_was_ready_once_is_not_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "_ready", {PORT})
    refused = ServiceHealth().make_connection_error(PORT, REFUSED)
    assert (refused.status, str(refused)) == (
        503,
        f"nothing accepts connections on port {PORT}: it responded before, or has exited",
    )
