"""Why nothing could be connected to, and whose fault that is."""

from __future__ import annotations

import errno
from collections.abc import Callable
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from chutes_wrappers.runtime import health, services
from chutes_wrappers.runtime.health import ServiceHealth

REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
PORT = 8020


@pytest.fixture(autouse=True)
def nothing_was_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "_ready", set())


@pytest.mark.parametrize(
    ("have_failed", "status"), [([], 429), ([False], 429), ([True, False], 429), ([True], 503), ([True, True], 503)]
)
def test_a_service_that_has_exited_before_it_answered_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, have_failed: list[bool], status: int
) -> None:
    monkeypatch.setattr(health, "launched", lambda: [SimpleNamespace(has_failed=failed) for failed in have_failed])
    assert ServiceHealth().no_connection(PORT, REFUSED).status == status


def test_a_service_that_answered_once_is_not_starting() -> None:
    judged = ServiceHealth()
    assert judged.no_connection(PORT, REFUSED).status == 429
    judged.answered(PORT)
    assert judged.no_connection(PORT, REFUSED).status == 503
    assert judged.no_connection(PORT + 1, REFUSED).status == 429


KEY = ConnectionKey("127.0.0.1", PORT, False, False, None, None, None)


@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: aiohttp.ClientConnectorError(KEY, error)])
def test_a_connection_that_the_kernel_gave_up_is_a_busy_service(wrap: Callable[[OSError], OSError]) -> None:
    judged = ServiceHealth()
    judged.answered(PORT)
    refused = judged.no_connection(PORT, wrap(OSError(errno.ETIMEDOUT, "timed out")))
    assert (refused.status, "the service is busy" in refused.detail["error"]) == (429, True)
