"""Every command that uses the platform, with every fault of the platform: the command reports it and never succeeds."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.manifest import Manifest, write_manifest
from chutes_wrappers.core.routes import Route
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.api.context import NewAccounts
from chutes_wrappers.emulator.host_launcher import HostLauncher
from chutes_wrappers.emulator.server import Settings, run_platform
from tests.cli.verified_module import CORDS, SOURCE, write_verified_module
from tests.commands import KILLED, CommandResult, Commands
from tests.emulator.api.client import Client
from tests.emulator.tokens import TOKEN
from tests.kept_versions import KeptVersions
from tests.scenario import READY, Scenario
from tests.upstreams.platform_faults import FAULTS, Fault, FaultyPlatform, ReceivedRequest, serve_faulty_platform

# Timeouts of requests: long enough for responses on any machine, short enough for a test of a hanging request.
LONG_S, SHORT_S = "60", "2"
ENV_VALUE = "value-of-chute-env-4711"
SECRET_VALUE = "value-of-a-secret-4712"
BROKEN = f"{SOURCE}\nraise RuntimeError('no model here')\n"


@dataclass(frozen=True)
class Case:
    """A command line, with ``MODULE`` for the deploy module, ``VERIFIED`` for one whose chute is ``case``, and ``TIMEOUT`` for the
    seconds of a call.

    ``changes``: its requests do more than read. ``is_slow``: it starts the SDK's own command line, which takes seconds.
    """

    line: str
    changes: bool = False
    stdin_text: str = ""
    takes_json: bool = True
    is_slow: bool = False
    until: str = ""  # it does not end by itself once it has said this

    @property
    def flag(self) -> str:
        return self.line.split()[0]

    def arguments(self, module: Path, *, as_json: bool, timeout_s: str = LONG_S) -> list[str]:
        verified = str(module.with_name("deploy_verified.py"))
        values = {"MODULE": str(module), "VERIFIED": verified, "TIMEOUT": timeout_s}
        words = [values.get(word, word) for word in self.line.split()]
        return [*words, "--json"] if as_json and self.takes_json else words


CASES = (
    Case("--list-images"),
    Case("--list-chutes"),
    Case("--status case"),
    Case("--delete case --yes", changes=True),
    Case("--delete-image spare:v1 --yes", changes=True),
    Case("--logs case"),
    Case("--logs broken --startup"),
    Case("--warmup case"),
    Case("--warmup case --follow"),
    Case("--share case second", changes=True),
    Case("--secret case TOKEN", changes=True, stdin_text=SECRET_VALUE + "\n"),
    Case("--disable case --yes", changes=True),
    Case("--enable case", changes=True),
    Case("--set case max_instances=2", changes=True),
    Case("--rollback case-wrapped --yes", changes=True, is_slow=True),
    Case("--account"),
    Case("--call case /greet -d @call.json --timeout TIMEOUT", changes=True),
    Case("--verify VERIFIED --yes --timeout TIMEOUT", changes=True),
    Case("--build MODULE --yes", changes=True, is_slow=True),
    Case("--deploy MODULE --yes --accept-fee", changes=True, is_slow=True),
    Case("--forward MODULE", takes_json=False, until=READY),
)
CHANGING = tuple(case for case in CASES if case.changes)
# Faults after successful requests; the others occur from the first request on.
LATE = ("401", "404", "500-page", "200-page", "reset", "truncated")
SLOW_CHANGING = ("402", "409", "422", "500-page", "reset", "truncated", "hang")
SLOW_LATE = ("500-page",)
# These commands are about an instance: without one they would start one, or wait for it.
NEED_INSTANCE = ("--warmup", "--logs", "--call", "--verify")
# The others are crossed with these commands under ./test.sh --all, with every kind of request by host/test_platform_api_faults.py.
IN_CI_LATE = ("404", "500-page", "reset")
IN_CI_HANGING = ("--list-chutes", "--call", "--forward")
IN_CI_SLOW_CHANGING = ("409", "500-page", "truncated")
# Of the other pairs CI runs every fourth, so that each command meets a quarter of the faults, and each fault a quarter of them.
IN_CI_EVERY = 4
IS_EXHAUSTIVE = os.environ.get("HYPOTHESIS_PROFILE") == "all"
# A slow command is started again for every third of its requests in CI, and for each under ./test.sh --all.
SLOW_LATE_STEP = 1 if IS_EXHAUSTIVE else 3


@dataclass(frozen=True)
class World:
    """A user with an account, an API key, a chute, images and a module."""

    user: Client
    other: Client
    module: Path
    versions: KeptVersions
    commands: Commands
    platform: FaultyPlatform
    secrets: tuple[str, ...]

    def check_failure(
        self, case: Case, fault: Fault, applies: Callable[[ReceivedRequest], bool], *, as_json: bool
    ) -> int:
        """Run ``case`` while the platform fails, check its report, and return how often the platform failed."""
        self.restore(case)
        with self.platform.failing(
            fault, lambda request: applies(request) and not self._is_valid_response(fault, request)
        ):
            timeout_s = SHORT_S if fault.name == "hang" else LONG_S
            ran = self.commands.run(
                *case.arguments(self.module, as_json=as_json, timeout_s=timeout_s),
                stdin_text=case.stdin_text,
                until=case.until,
                variables={"CHUTES_API_TIMEOUT": timeout_s},
            )
        if self.platform.injected:
            self._check(ran, as_json=as_json and case.takes_json)
        return self.platform.injected

    def _is_valid_response(self, fault: Fault, request: ReceivedRequest) -> bool:
        """Return whether this is a valid response: a page from a chute's host, or 404 for a deleted object."""
        if fault.name == "404" and request.method == "GET":
            return any(earlier.method == "DELETE" for earlier in self.platform.received)
        return fault.name == "200-page" and ".localhost" in request.host

    def restore(self, case: Case) -> None:
        """Create again what an earlier command deleted, and delete what ``case`` creates."""
        if case.is_slow:
            self.user.delete_chute("case-wrapped")
        if case.flag == "--build":
            self.user.delete("/images/case-wrapped:v1")
        if case.flag in ("--deploy", "--rollback") and not self.user.get("/images/case-wrapped:v1").ok:
            assert self.user.build_and_wait("case-wrapped")
        if not self.user.get("/images/spare:v1").ok:
            assert self.user.build_and_wait("spare")
        chute = self.user.get("/chutes/case")
        if not chute.ok:
            chute = self.user.deploy(code=SOURCE, cords=CORDS)
            assert chute.ok
        settings = {"disabled": case.flag == "--enable", "max_instances": 1}
        if any(chute.json().get(name) is not value for name, value in settings.items()):
            assert self.user.put(f"/chutes/{chute.json()['chute_id']}", settings).ok
        if case.flag in NEED_INSTANCE:
            assert self.user.get("/chutes/warmup/case").ok  # until it is hot
        if case.flag == "--secret":
            for secret in self.user.get("/secrets/").json()["items"]:
                assert self.user.delete(f"/secrets/{secret['secret_id']}").ok
        if case.flag == "--rollback":
            self.versions.deploy()
            self.versions.deploy("# another version\n")

    def _check(self, ran: CommandResult, *, as_json: bool) -> None:
        everything = f"exit code {ran.code}\n{ran.stdout}\n{ran.stderr}"
        assert ran.code in (1, 2), everything
        for bad in ("Traceback", "fault of the toolkit", "Usage:"):
            assert bad not in ran.stdout + ran.stderr, everything
        for secret in self.secrets:
            assert secret not in ran.stdout + ran.stderr, everything
        assert "Next:" in ran.stderr, everything
        if as_json and ran.stdout:
            for document in _documents(ran.stdout):
                json.loads(document)


def _documents(text: str) -> list[str]:
    """Parse one JSON document, or one per line."""
    try:
        json.loads(text)
    except ValueError:
        return text.splitlines()
    return [text]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patched, _world(tmp_path_factory.mktemp("world")) as made:
        # What one test deletes is created again for the next.
        patched.setattr(platform_rules, "MAX_BUILDS_PER_DAY", 10_000)
        patched.setattr(platform_rules, "MAX_VERSIONS_PER_DAY", 10_000)
        yield made


@contextlib.contextmanager
def _world(folder: Path) -> Iterator[World]:
    settings = Settings(
        registration_token=TOKEN,
        folder=folder / "state",
        docker=False,
        new_accounts=NewAccounts(balance=10_000.0),  # each deployment after a deletion costs its fee
    )
    with run_platform(settings, HostLauncher()) as emulator, serve_faulty_platform(emulator.url) as platform:
        user = Client.register(emulator.url, "tester")
        other = Client.register(emulator.url, "second")
        user.build_and_wait()
        write_verified_module(folder)
        assert user.deploy(code=SOURCE, cords=CORDS).ok
        assert user.get("/chutes/warmup/case").ok
        assert user.deploy(name="broken", code=BROKEN, cords=CORDS).ok
        assert user.get("/chutes/warmup/broken").ok  # until its instance has ended
        key = user.create_key(admin=True)["secret_key"]
        accounts.write_config(user.account, platform.url, folder / "config.ini")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("CHUTES_", "CHUTE_"))}
        variables = {
            **environment,
            "HOME": str(folder),
            "CHUTES_CONFIG_PATH": str(folder / "config.ini"),
            "CHUTES_API_KEY": key,
            "CHUTES_API_TIMEOUT": LONG_S,
        }
        (folder / "call.json").write_text('{"name": "you"}')
        secrets = (key, user.account.seed, ENV_VALUE, SECRET_VALUE)
        scenario = _make_scenario(folder)
        versions = KeptVersions(user, folder, scenario, platform.url)
        yield World(user, other, scenario.module, versions, Commands(folder, variables), platform, secrets)


def _make_scenario(folder: Path) -> Scenario:
    scenario = Scenario(folder, "wrapped", "vendor/unused:1", [9000], env={"GREETING": ENV_VALUE})
    write_manifest(Manifest(routes=(Route(path="/encode", port=9000),)), scenario.manifest)
    return scenario


def _name(value: Case | Fault) -> str:
    return value.line if isinstance(value, Case) else value.name


def test_the_same_command_lines_succeed_without_a_fault(world: World) -> None:
    failed = []
    for case in CASES:
        world.restore(case)
        ran = world.commands.run(
            *case.arguments(world.module, as_json=True), stdin_text=case.stdin_text, until=case.until
        )
        for document in _documents(ran.stdout) if ran.stdout else ():
            json.loads(document)
        if ran.code != (KILLED if case.until else 0):
            failed.append(f"{case.line}: exit code {ran.code}\n{ran.stdout}\n{ran.stderr}")
    assert not failed, "\n\n".join(failed)


def _is_always_in_ci(case: Case, fault: Fault) -> bool:
    return case.flag in IN_CI_HANGING if fault.name == "hang" else _is_in_sample(case, fault)


def _is_in_sample(case: Case, fault: Fault) -> bool:
    return (CASES.index(case) + FAULTS.index(fault)) % IN_CI_EVERY == 0


def _always() -> list[Any]:
    return [
        pytest.param(
            case,
            fault,
            id=f"{case.line}-{fault.name}",
            marks=() if _is_always_in_ci(case, fault) else pytest.mark.exhaustive,
        )
        for case in CASES
        for fault in FAULTS
    ]


@pytest.mark.parametrize(("case", "fault"), _always())
def test_a_platform_that_always_fails_is_reported(world: World, case: Case, fault: Fault) -> None:
    assert world.check_failure(case, fault, lambda request: True, as_json=True)


def _pairs(
    cases: Sequence[Case], faults: Sequence[str], slow_faults: Sequence[str], in_ci: Callable[[Case, Fault], bool]
) -> list[Any]:
    return [
        pytest.param(
            case,
            fault,
            id=f"{case.line}-{fault.name}",
            marks=() if in_ci(case, fault) else pytest.mark.exhaustive,
        )
        for case in cases
        for fault in FAULTS
        if fault.name in (slow_faults if case.is_slow else faults)
    ]


def _is_change_in_ci(case: Case, fault: Fault) -> bool:
    return fault.name in IN_CI_SLOW_CHANGING if case.is_slow else _is_always_in_ci(case, fault)


def _is_late_in_ci(case: Case, fault: Fault) -> bool:
    return fault.name in IN_CI_LATE and (case.is_slow or _is_in_sample(case, fault))


@pytest.mark.parametrize(
    ("case", "fault"), _pairs(CHANGING, [fault.name for fault in FAULTS], SLOW_CHANGING, _is_change_in_ci)
)
def test_a_failed_change_is_reported(world: World, case: Case, fault: Fault) -> None:
    injected = world.check_failure(case, fault, lambda request: request.changes, as_json=False)
    assert injected or (case.flag in ("--call", "--verify") and fault.name == "200-page")


@pytest.mark.parametrize(("case", "fault"), _pairs(CASES, LATE, SLOW_LATE, _is_late_in_ci))
def test_a_platform_that_fails_later_is_reported(world: World, case: Case, fault: Fault) -> None:
    for first in range(2, 40, SLOW_LATE_STEP if case.is_slow else 1):

        def is_late(asked: ReceivedRequest, first: int = first) -> bool:
            return asked.number >= first

        if not world.check_failure(case, fault, is_late, as_json=True):
            return  # the command asks less often
    raise AssertionError("the command asks without end")
