"""``--disable``, ``--enable`` and ``--set`` against the emulator, and against the server of October 2025, which ignores most of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.cli.commands import availability
from chutes_wrappers.cli.commands.availability import disable_chute, enable_chute
from chutes_wrappers.cli.commands.chute_settings import change_settings
from chutes_wrappers.cli.commands.status import print_status
from chutes_wrappers.cli.commands.warmup import warm_up
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.api.context import NewAccounts
from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from chutes_wrappers.host.platform_api.api_client import PlatformRequestFailed
from chutes_wrappers.host.platform_api.error_responses import select_next_step
from tests.emulator.api.client import CODE, Client
from tests.emulator.tokens import TOKEN
from tests.upstreams.api_of_2025 import run_api_of_2025
from tests.upstreams.platform_faults import FAULTS, FaultyPlatform, ReceivedRequest, serve_faulty_platform

SECOND = "second/shared"
Printed = pytest.CaptureFixture[str]


@dataclass(frozen=True)
class World:
    """A user with the chute ``case``, another user with the chute ``shared``, and the server that the commands use."""

    user: Client
    other: Client
    emulator: RunningPlatform
    server: FaultyPlatform

    def read(self, name: str = "case") -> dict[str, Any]:
        record: dict[str, Any] = self.user.get(f"/chutes/{name}").json()
        return record

    def change_stored(self, **definition: Any) -> None:
        """Change the stored definition of ``case``."""
        chute = self.emulator.state.chutes.find_by_id(self.read()["chute_id"])
        assert chute is not None
        self.emulator.state.chutes.change(chute, definition)


def make_world(emulator: RunningPlatform, server: FaultyPlatform, folder: Path) -> World:
    user, other = Client.register(emulator.url, "tester"), Client.register(emulator.url, "second")
    for client, name in ((user, "case"), (other, "shared")):
        client.build_and_wait()
        assert client.deploy(name=name, code=CODE).ok
    body = {"chute_id_or_name": "shared", "user_id_or_name": user.account.user_id}
    assert other.post("/chutes/share", body).ok
    accounts.write_config(user.account, server.url, folder / "config.ini")
    return World(user, other, emulator, server)


def make_settings(folder: Path) -> Settings:
    accounts_of = NewAccounts(balance=1000.0)
    return Settings(registration_token=TOKEN, folder=folder / "state", docker=False, new_accounts=accounts_of)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[World, Path]]]:
    new, old = tmp_path_factory.mktemp("new"), tmp_path_factory.mktemp("old")
    with (
        run_platform(make_settings(new), HostLauncher()) as emulator,
        serve_faulty_platform(emulator.url) as server,
        run_api_of_2025(make_settings(old), HostLauncher()) as (old_emulator, old_server),
    ):
        yield {"new": (make_world(emulator, server, new), new), "old": (make_world(old_emulator, old_server, old), old)}


def select_world(worlds: dict[str, tuple[World, Path]], name: str, monkeypatch: pytest.MonkeyPatch) -> World:
    world, folder = worlds[name]
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("CHUTES_CONFIG_PATH", str(folder / "config.ini"))
    # The SDK reads both once.
    monkeypatch.setattr("chutes.config.CONFIG_PATH", str(folder / "config.ini"))
    monkeypatch.setattr("chutes.config._config", None)
    for variable in ("CHUTES_API_URL", "CHUTES_API_KEY", "CHUTES_USERNAME", "CHUTES_WRAPPERS_ALLOW"):
        monkeypatch.delenv(variable, raising=False)
    world.change_stored(disabled=False, immutable=False, max_instances=1, scaling_threshold=0.75, tagline="old")
    return world


@pytest.fixture
def world(worlds: dict[str, tuple[World, Path]], monkeypatch: pytest.MonkeyPatch) -> World:
    """The platform of August 2026."""
    return select_world(worlds, "new", monkeypatch)


@pytest.fixture
def old_world(worlds: dict[str, tuple[World, Path]], monkeypatch: pytest.MonkeyPatch) -> World:
    """The server of October 2025."""
    return select_world(worlds, "old", monkeypatch)


def read_json(printed: Printed) -> Any:
    return json.loads(printed.readouterr().out)


def test_a_disabled_chute_ends_its_instances_and_opens_again(world: World, capsys: Printed) -> None:
    assert warm_up("case", timeout_s=60, as_json=True) == 0
    capsys.readouterr()
    assert disable_chute("case", yes=True, as_json=True) == 0
    chute = world.read()
    expected = {"chute_id": chute["chute_id"], "name": "case", "disabled": True, "verified": True, "instances": []}
    assert (read_json(capsys), chute["disabled"], chute["instances"]) == (expected, True, [])

    with pytest.raises(PlatformRequestFailed) as caught:
        warm_up("case", timeout_s=60, as_json=True)
    assert (caught.value.status, "--enable case" in str(caught.value.next_step)) == (503, True)
    assert print_status("case", as_json=False) == 0
    printed = capsys.readouterr()
    assert ("disabled" in printed.out, "--enable case" in printed.err, "starts one" in printed.err) == (
        True,
        True,
        False,
    )

    assert enable_chute("case", as_json=True) == 0
    expected = {"chute_id": chute["chute_id"], "name": "case", "disabled": False, "verified": True, "instances": []}
    assert (read_json(capsys), world.read()["disabled"]) == (expected, False)


def test_without_a_terminal_disabling_needs_yes(world: World) -> None:
    with pytest.raises(ConfigurationError, match="standard input is not a terminal") as caught:
        disable_chute("case", yes=False, as_json=False)
    assert "--yes" in str(caught.value.next_step)
    assert not world.read()["disabled"]


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(("name", "reason"), [("cas", "not found"), (SECOND, "only its owner may change it")])
def test_only_an_own_chute_can_be_changed(name: str, reason: str) -> None:
    with pytest.raises(WrapperError, match=reason):
        disable_chute(name, yes=True, as_json=False)
    with pytest.raises(WrapperError, match=reason):
        enable_chute(name, as_json=False)
    with pytest.raises(WrapperError, match=reason):
        change_settings(name, ["max_instances=2"], as_json=False)


def test_an_immutable_chute_cannot_be_changed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.change_stored(immutable=True)
    with pytest.raises(WrapperError, match="is immutable"):
        disable_chute("case", yes=True, as_json=False)
    assert not world.read()["disabled"]
    monkeypatch.setenv("CHUTES_WRAPPERS_ALLOW", "immutable-chute")
    assert disable_chute("case", yes=True, as_json=False) == 0  # the emulator accepts it too
    assert "another CHUTE_NAME" in select_next_step(403, "the account", "This chute is immutable and cannot be changed")


def test_fields_are_set_and_the_cost_is_an_estimate(world: World, capsys: Printed) -> None:
    words = ["max_instances=2", "scaling_threshold=0.8", "tagline=Reads text"]
    assert change_settings("case", words, as_json=True) == 0
    printed = capsys.readouterr()
    chute = world.read()
    assert [chute[name] for name in ("max_instances", "scaling_threshold", "tagline")] == [2, 0.8, "Reads text"]
    assert {field["state"] for field in json.loads(printed.out)["fields"].values()} == {"set"}
    assert "about $3.60 an hour: 2 times $1.80 (estimate by the platform's prices)" in printed.err
    assert "The next --deploy sets the module's values again" in printed.err
    assert "CHUTE_TAGLINE" in printed.err


def test_what_the_platform_ignores_is_a_failure_with_the_reason(world: World, capsys: Printed) -> None:
    with pytest.raises(WrapperError, match="2 of 3 fields of case") as caught:
        change_settings("case", ["shutdown_after_seconds=600", "tagline=", "max_instances=3"], as_json=True)
    assert str(caught.value.evidence).splitlines() == [
        "shutdown_after_seconds: ignored, and still 300: the platform validates this field, and ignores it",
        "tagline: ignored, and still 'old': the platform does not clear texts",
    ]
    assert "shutdown_after_seconds= of Chute(…), CHUTE_TAGLINE" in str(caught.value.next_step)
    fields = read_json(capsys)["fields"]
    assert fields["shutdown_after_seconds"] == {"state": "ignored", "requested": 600, "value": 300}
    assert (fields["max_instances"]["state"], world.read()["max_instances"]) == ("set", 3)


def test_nothing_is_sent_when_a_field_is_invalid(world: World) -> None:
    with world.server.failing(FAULTS[0], lambda request: False):
        with pytest.raises(ConfigurationError, match="not changed"):
            change_settings("case", ["max_instances=2", "scaling=1"], as_json=False)
        assert world.server.received == []


@pytest.mark.usefixtures("old_world")
def test_a_server_of_2025_ignores_the_scaling_but_sets_the_texts(capsys: Printed) -> None:
    with pytest.raises(WrapperError, match="2 of 3 fields") as caught:
        change_settings("case", ["max_instances=2", "scaling_threshold=0.8", "tagline=new"], as_json=False)
    assert "max_instances: ignored, and still 1: servers before mid 2026" in str(caught.value.evidence)
    assert "tagline of case is 'new'" in capsys.readouterr().err


def test_a_server_of_2025_does_not_show_whether_a_chute_is_disabled(old_world: World, capsys: Printed) -> None:
    with pytest.raises(WrapperError, match="whether case is disabled is unknown"):
        disable_chute("case", yes=True, as_json=True)
    printed = capsys.readouterr()
    payload = json.loads(printed.out)
    assert (payload["verified"], payload["disabled"]) == (False, None)
    assert "✓" not in printed.err
    with pytest.raises(WrapperError, match="whether case is enabled is unknown"):
        enable_chute("case", as_json=True)
    assert read_json(capsys)["verified"] is False
    assert not old_world.read().get("disabled")


@pytest.mark.usefixtures("old_world")
def test_instances_that_do_not_end_show_that_the_server_ignores_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "_POLL_S", 0.0)
    assert warm_up("case", timeout_s=60, as_json=True) == 0
    with pytest.raises(WrapperError, match="still has 1 instances") as caught:
        disable_chute("case", yes=True, as_json=True)
    assert "--delete case" in str(caught.value.next_step)


def test_a_lost_response_is_a_success_when_the_record_shows_the_change(world: World, capsys: Printed) -> None:
    fault = next(fault for fault in FAULTS if fault.name == "502")

    def apply_and_fail(request: ReceivedRequest) -> bool:
        if request.method == "PUT":
            world.change_stored(max_instances=7)
        return request.method == "PUT"

    world.change_stored(disabled=True)
    with world.server.failing(fault, apply_and_fail):
        assert change_settings("case", ["max_instances=7"], as_json=False) == 0
        assert "response was lost" in capsys.readouterr().err
        with pytest.raises(PlatformRequestFailed, match="returned 502"):
            change_settings("case", ["max_instances=8"], as_json=False)
        with pytest.raises(PlatformRequestFailed, match="returned 502"):
            enable_chute("case", as_json=False)
        assert disable_chute("case", yes=True, as_json=False) == 0
