"""The logs of instances that never became active: the SDK's own command reads them, and nobody else can."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core.platform_rules import STARTUP_LOG_KEPT_S
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.server import RunningPlatform, Settings, run_platform
from chutes_wrappers.host.account.keypairs import decode_public_key, derive_private_scalar, keypair_from_seed
from tests.commands import Commands
from tests.emulator.api.client import Client
from tests.emulator.tiny import TinyInstance, TinyLauncher
from tests.emulator.tokens import TOKEN
from tests.fork_server import SCRIPT
from tests.scenario import ROOT

LINES = [f"line {number}" for number in range(120)]
LAST_LINE = "no model: größer als erlaubt"


@dataclass(frozen=True)
class Owner:
    """A user with a chute whose instances end before they are active; one has."""

    platform: RunningPlatform
    client: Client
    other: Client
    path: str
    config: Path

    def list_sessions(self) -> list[dict[str, Any]]:
        sessions: list[dict[str, Any]] = self.client.get(self.path, "chutes").json()
        return sessions


def end_before_active(instance: TinyInstance) -> None:
    instance.serves.clear()
    for line in LINES:
        instance.print_line(line)
    instance.exit(1, LAST_LINE)


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    folder = tmp_path_factory.mktemp("owner")
    launcher = TinyLauncher()
    launcher.prepare = end_before_active
    settings = Settings(registration_token=TOKEN, folder=folder / "state", docker=False)
    with run_platform(settings, launcher) as platform:
        client = Client.register(platform.url, "tester")
        client.build_and_wait()
        chute_id = client.deploy().json()["chute_id"]
        client.get(f"/chutes/warmup/{chute_id}").raise_for_status()  # its stream ends when the instance has
        accounts.write_config(client.account, platform.url, folder / "config.ini")
        other = Client.register(platform.url, "second")
        yield Owner(platform, client, other, f"/encrypted_logs/{chute_id}/sessions", folder / "config.ini")


# The key pair that the SDK's command expects, and no released library has: its public key is hexadecimal, the private one is there.
SDK_COMMAND = """
import sys
from types import SimpleNamespace
from chutes.entrypoint import startup_logs
from chutes_wrappers.host.account.keypairs import derive_private_scalar, keypair_from_seed

def create_from_seed(seed=None, seed_hex=None):
    seed = seed or seed_hex
    public_key = "0x" + bytes(keypair_from_seed(seed).public_key).hex()
    return SimpleNamespace(private_key=derive_private_scalar(seed) + bytes(32), public_key=public_key)

startup_logs.Keypair = SimpleNamespace(create_from_seed=create_from_seed)
startup_logs.fetch_startup_logs({chute_id!r}, instance_id=None, latest=True, config_path=None)
"""


def test_the_sdks_own_command_reads_the_output(owner: Owner) -> None:
    environment = {**os.environ, "CHUTES_CONFIG_PATH": str(owner.config), "PYTHONPATH": str(ROOT)}
    script = SDK_COMMAND.format(chute_id=owner.path.split("/")[2])
    ran = Commands(owner.config.parent, environment, SCRIPT).run(script)
    assert ran.code == 0, ran.stderr
    positions = [ran.stdout.index(text) for text in ("3 chunks", "started", "line 0", "line 119", LAST_LINE)]
    assert positions == sorted(positions)


def test_only_the_owner_gets_a_startup_log(owner: Owner) -> None:
    instance_id = owner.list_sessions()[0]["instance_id"]
    for path in (owner.path, f"{owner.path}/{instance_id}/chunks"):
        assert owner.client.get(path, "chutes").status_code == 200
        assert owner.other.get(path, "chutes").status_code == 404
        assert owner.client.get(path, "logs").status_code == 401
    assert LAST_LINE not in owner.client.get(f"{owner.path}/{instance_id}/chunks", "chutes").text
    assert owner.client.get(f"{owner.path}/unknown/chunks", "chutes").status_code == 404
    assert owner.client.get("/encrypted_logs/unknown/sessions", "chutes").status_code == 404


def test_a_startup_log_expires(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(owner.list_sessions()) == 1
    now = owner.platform.state.now()
    monkeypatch.setattr(owner.platform.state, "now", lambda: now + STARTUP_LOG_KEPT_S + 60)
    monkeypatch.setattr("tests.emulator.api.client.time.time", lambda: now + STARTUP_LOG_KEPT_S + 60)
    assert owner.list_sessions() == []


def test_the_private_scalar_is_that_of_substrate() -> None:
    rbcl = pytest.importorskip("rbcl")
    for seed in ("0x" + "5e" * 32, "00" * 32, "ff" * 32):
        address = keypair_from_seed(seed).ss58_address
        assert rbcl.crypto_scalarmult_ristretto255_base(derive_private_scalar(seed)) == decode_public_key(address)
    with pytest.raises(ValueError, match="the seed is invalid"):
        derive_private_scalar("5e")
