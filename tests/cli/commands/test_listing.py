"""Lists of the platform: the account's own, what is shared with it, and nothing for an account that the platform does not know."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from chutes_wrappers.cli.commands import listing
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.host.account.credentials import SeedCredentials
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from chutes_wrappers.host.platform_api.lookup import ChuteName, get_own_chute
from tests.upstreams.scripted import Reply, json_reply, serve_script

HOTKEY = "5Hh5dPrM7hiB2MatxwTXeFsB3Wd1MrJpz8AD5MQV4mmBp6X9"
UNKNOWN = json.dumps({"detail": f"Could not find user with hotkey: {HOTKEY}"}).encode()
KNOWN_ME = json_reply({"username": "tester", "user_id": "1"})
UNKNOWN_ME = Reply(status=401, body=UNKNOWN)


def make_chute(name: str, owner: str, *, is_public: bool, **more: Any) -> dict[str, Any]:
    return {"chute_id": f"id-{name}", "name": name, "user": {"username": owner}, "public": is_public, **more}


OWN = make_chute("mine", "tester", is_public=False)
OWN_PUBLIC = make_chute("open", "tester", is_public=True)
SHARED = make_chute("theirs", "stranger", is_public=False)
FOREIGN = make_chute("everybodys", "stranger", is_public=True)


def serve_list(records: list[dict[str, Any]], me: Reply, action: Callable[[PlatformApi], None]) -> list[str]:
    """Do ``action`` with an API that lists ``records``; return the paths that it requested."""

    def reply() -> Reply:
        path = server.received[-1]
        return me if path == "/users/me" else listed if path.startswith("/chutes/?") else Reply(status=404)

    listed = json_reply({"total": len(records), "page": 0, "items": records})
    with serve_script({}, otherwise=json_reply({})) as server:
        server.otherwise = reply  # type: ignore[assignment]
        with PlatformApi(server.root, SeedCredentials(seed="1" * 64, username="tester")) as api:
            action(api)
        return server.received


def run(
    monkeypatch: pytest.MonkeyPatch, records: list[dict[str, Any]], me: Reply = KNOWN_ME, *, as_json: bool = False
) -> list[str]:
    def show(api: PlatformApi) -> None:
        monkeypatch.setattr(api_client, "connect", lambda: api)
        assert listing.list_chutes(as_json=as_json) == 0

    return serve_list(records, me, show)


@pytest.mark.parametrize("records", [[], [FOREIGN], [OWN_PUBLIC, FOREIGN]])
def test_an_account_that_the_platform_does_not_know_has_no_list(
    monkeypatch: pytest.MonkeyPatch, records: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its hotkey gets 200 and everybody's public chutes (api-observed 95)."""
    with pytest.raises(WrapperError, match="does not know the account 'tester'") as caught:
        run(monkeypatch, records, UNKNOWN_ME)
    assert "--account" in str(caught.value.next_step)
    assert capsys.readouterr().out == ""


def test_a_name_is_not_looked_for_among_everybodys_chutes() -> None:
    def find(api: PlatformApi) -> None:
        with pytest.raises(WrapperError, match="does not know the account 'tester'"):
            get_own_chute(api, ChuteName(text="everybodys"))

    serve_list([FOREIGN], UNKNOWN_ME, find)


def test_another_username_than_the_platforms_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WrapperError, match="username 'tester', and the platform 'renamed'"):
        run(monkeypatch, [FOREIGN], json_reply({"username": "renamed"}))


def test_chutes_of_others_are_apart_and_only_those_that_are_shared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, [SHARED, FOREIGN, OWN, OWN_PUBLIC])
    own, _, shared = capsys.readouterr().out.partition("shared with you")
    assert [name in own for name in ("mine", "open", "theirs", "everybodys")] == [True, True, False, False]
    assert ["theirs" in shared, "stranger" in shared, "mine" in shared, "everybodys" in shared] == [
        *(True, True),
        *(False, False),
    ]


def test_json_is_the_apis_list_without_what_is_not_the_accounts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    requested = run(monkeypatch, [SHARED, FOREIGN, OWN], as_json=True)
    assert json.loads(capsys.readouterr().out) == [SHARED, OWN]
    assert "/users/me" not in requested  # an own private chute shows that the account is known


def test_an_account_without_own_chutes_gets_a_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, [SHARED])
    shown = capsys.readouterr()
    assert ("the account has no chute yet" in shown.err, "shared with you" in shown.out) == (True, True)


def test_a_column_that_no_record_fills_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, [OWN])
    head = capsys.readouterr().out.splitlines()[1].split()
    assert head == ["chute", "owner"]
    run(monkeypatch, [OWN, {**OWN_PUBLIC, "version": "12345678-9", "updated_at": "2026-08-01T00:00:00"}])
    assert capsys.readouterr().out.splitlines()[1].split() == ["chute", "version", "owner", "changed"]
