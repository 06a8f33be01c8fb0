"""Concurrent requests: one of them succeeds."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import requests

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.server import RunningPlatform
from tests.emulator.tokens import TOKEN

from .client import Client

_AT_ONCE = 8


def collect_statuses(request: Callable[[], requests.Response]) -> list[int]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        futures = [pool.submit(request) for _ in range(_AT_ONCE)]
        return sorted(one.result().status_code for one in futures)


def test_one_of_many_equal_builds_is_accepted(user: Client) -> None:
    assert collect_statuses(user.build) == [202] + [409] * (_AT_ONCE - 1)


def test_one_of_many_equal_deployments_is_made_and_charged(user: Client) -> None:
    user.build_and_wait()
    assert collect_statuses(user.deploy) == [200] + [409] * (_AT_ONCE - 1)
    assert user.get("/users/me", "me").json()["balance"] == 100 - 5.4


def test_one_of_many_equal_keys_and_secrets_is_made(user: Client) -> None:
    secret = {"purpose": "case", "key": "TOKEN", "value": "x"}
    assert collect_statuses(lambda: user.post("/api_keys/", {"name": "key", "admin": False})) == [200] + [409] * (
        _AT_ONCE - 1
    )
    user.build_and_wait()
    user.deploy()
    assert collect_statuses(lambda: user.post("/secrets/", secret)) == [200] + [409] * (_AT_ONCE - 1)


def test_one_of_many_registrations_of_a_name_succeeds(platform: RunningPlatform) -> None:
    def register(_: int) -> str:
        try:
            return accounts.register(platform.url, "second", TOKEN).username
        except WrapperError as refused:
            return refused.evidence or ""

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        outcomes = list(pool.map(register, range(_AT_ONCE)))
    assert outcomes.count("second") == 1
    assert sum("already exists" in outcome for outcome in outcomes) == _AT_ONCE - 1


def test_a_large_context_arrives_whole(platform: RunningPlatform, user: Client) -> None:
    content = bytes(range(256)) * 4096 * 24
    image = user.build(context=content).json()
    assert platform.state.images.read_upload(image["image_id"]).build_context == content
