"""Every command that uses the platform, at its server of October 2025 and at the strict API of August 2026.

Neither has what only the emulator adds. Each command must have the right exit code and words, and no column without a value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chutes_wrappers.core.manifest import Manifest, write_manifest
from chutes_wrappers.core.routes import Route
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.api.context import NewAccounts
from chutes_wrappers.emulator.server import Settings, run_platform
from chutes_wrappers.emulator.staleness import PLATFORM_STALENESS, Staleness
from tests.commands import KILLED, CommandResult, Commands
from tests.emulator.api.client import Client
from tests.emulator.tiny import ManualClock, TinyLauncher
from tests.emulator.tokens import TOKEN
from tests.scenario import READY, Scenario
from tests.upstreams.api_of_2025 import WALLET_SECRET, run_api_of_2025, serve_strict_api

SECRET_VALUE = "value-of-a-secret-4714"
COLD_S = "1"


@dataclass(frozen=True)
class Row:
    """A command line, in the order in which they run, with ``MODULE`` for the module; and its result.

    ``words`` are in its output and ``wrong`` are not, separated by "|". ``only`` is the edition of the API that it is for,
    ``key`` the kind of API key that it has.
    """

    line: str
    code: int = 0
    words: str = ""
    wrong: str = ""
    stdin_text: str = ""
    until: str = ""
    only: str = ""
    key: str = "admin"


ROWS = (
    Row("--account", words="tester|balance|$994.60"),
    Row("--list-images", words="case:v1|built and pushed"),
    Row("--list-chutes", words="case|cold|tester", wrong="others"),
    Row("--cost MODULE", words="$1.80|$5.40"),
    Row("--status case", words="cold|case:v1|POST   /greet|$1.80"),
    Row("--logs case", 1, "has no instance|--warmup case"),
    # An upload, and a deployment with and without a fee.
    Row("--build MODULE --yes", words="case-wrapped:v1 is built and pushed|--deploy", only="2025"),
    Row("--deploy MODULE --yes", 2, "costs $5.40 once|--accept-fee", only="2025"),
    Row("--secret wrapped TOKEN", 1, "deployed chutes only|deploy it with --deploy", stdin_text=SECRET_VALUE),
    Row("--deploy MODULE --yes --accept-fee", words="is deployed with 1 cords|--warmup case-wrapped", only="2025"),
    # A secret that is set before the warm-up reaches the first instance.
    Row("--secret case TOKEN", words="that start from now on have TOKEN", stdin_text=SECRET_VALUE),
    Row("--secret case TOKEN", 1, "exists already|secrets delete", stdin_text=SECRET_VALUE),
    Row("--secret case OTHER", words="that start from now on have OTHER", stdin_text=SECRET_VALUE),
    Row("--warmup case-wrapped --timeout 60", words="case-wrapped is hot: 1 active instance", only="2025"),
    Row("--warmup case --timeout 60 --json", words='"status": "hot"'),
    Row("--warmup case --timeout 60", words="case is hot: 1 active instance"),
    Row("--status case", words="hot|active"),
    Row("--status case --watch", words="hot|active", until="active"),
    Row("--logs case", words="started"),
    Row("--logs case", 1, "admin API key only|--key admin", key="invoke"),
    Row("--call case /greet -d @call.json", words='"name": "you"', key="invoke"),
    Row("--share case second", words="Successfully shared chute case with second"),
    Row("--share case nobody", 1, "Could not find target user"),
    Row("--forward MODULE", until=READY, only="2025"),
    Row("--set case tagline=shown", words="tagline of case is 'shown'"),
    Row("--set case max_instances=2", 1, "max_instances|= of Chute", only="2025"),
    Row("--set case max_instances=2", words="max_instances of case is 2", only="2026"),
    Row("--disable case --yes", words="case is disabled", only="2026"),
    Row("--warmup case", 1, "503|disabled|--enable", only="2026"),
    Row("--enable case", words="case is enabled", only="2026"),
    Row("--doctor", words="accepts it|balance|API key", wrong="unset CHUTES_API_KEY", key="invoke"),
    # Their errors.
    Row("--status nope", 1, "chute 'nope' not found|--list-chutes"),
    Row("--delete-image case:v1 --yes", 1, "409|in use|--delete case"),
    Row("--delete case --yes", words="the chute case was deleted"),
    Row("--delete-image case:v1 --yes", words="the image case:v1 was deleted"),
)


class World:
    """An account with a chute, an image and a module, at one edition of the API."""

    def __init__(self, folder: Path, url: str, api_url: str, launcher: TinyLauncher, edition: str) -> None:
        self.edition = edition
        self.launcher = launcher
        user, other = Client.register(url, "tester"), Client.register(url, "second")
        for client, name in ((user, "case"), (other, "others")):
            client.build_and_wait(name)
            assert client.deploy(name=name, image=f"{name}:v1").ok
        scope = {"object_type": "chutes", "action": "invoke"}
        self.keys = {
            "admin": user.create_key(name="admin", admin=True)["secret_key"],
            "invoke": user.create_key(name="invoke", scopes=[scope])["secret_key"],
        }
        accounts.write_config(user.account, api_url, folder / "config.ini")
        scenario = Scenario(folder, "wrapped", "vendor/unused:1", [9000])
        write_manifest(Manifest(routes=(Route(path="/encode", port=9000),)), scenario.manifest)
        self.module = scenario.module
        (folder / "call.json").write_text('{"name": "you"}')
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("CHUTES_", "CHUTE_"))}
        more = {"HOME": str(folder), "CHUTES_CONFIG_PATH": str(folder / "config.ini")}
        self.commands = Commands(folder, {**variables, **more, "COLUMNS": "250"})
        self.secrets = (*self.keys.values(), user.account.seed, SECRET_VALUE, WALLET_SECRET)

    def run(self, row: Row) -> CommandResult:
        words = [str(self.module) if word == "MODULE" else word for word in row.line.split()]
        variables = {"CHUTES_API_KEY": self.keys[row.key]}
        return self.commands.run(*words, stdin_text=row.stdin_text, until=row.until, variables=variables)

    def find_problem(self, row: Row) -> str:
        """Return what is wrong with the command of a row; empty when nothing is."""
        ran = self.run(row)
        text = ran.stdout + ran.stderr
        problems = [f"exit code {ran.code}"] if ran.code != (KILLED if row.until else row.code) else []
        problems += [f"{word!r} is missing" for word in filter(None, row.words.split("|")) if word not in text]
        bad = (*filter(None, row.wrong.split("|")), *self.secrets, "Traceback", "None", "fault of the toolkit")
        problems += [f"{word!r} is there" for word in bad if word in text]
        problems += [f"the column {name!r} has no value" for name in find_empty_columns(text)]
        problems += ["no next step"] if ran.code in (1, 2) and "Next:" not in ran.stderr else []
        return f"{row.line}: {'; '.join(problems)}\n{text}" if problems else ""


def find_empty_columns(text: str) -> list[str]:
    """Return the names of the columns without a value in any row of a printed table."""
    lines, found = text.splitlines(), []
    for number, line in enumerate(lines):
        if not re.fullmatch(r" ─+ ?", line):
            continue
        rows = list(_take_until_blank(lines[number + 1 :]))
        for column in re.finditer(r"\S+(?: \S+)*", lines[number - 1]):
            if rows and not any(row[column.start() : column.end()].strip() for row in rows):
                found.append(column[0])
    return found


def _take_until_blank(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if not line.strip():
            return
        yield line


@pytest.fixture(params=["2025", "2026"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """The server of 2025 remembers its list of chutes for 60 s, which never pass here; that of 2026 a missing chute."""
    launcher = TinyLauncher()
    staleness = Staleness(chute_list_s=60, deleted_key_s=60) if request.param == "2025" else PLATFORM_STALENESS
    settings = Settings(
        registration_token=TOKEN,
        folder=tmp_path / "state",
        docker=False,
        new_accounts=NewAccounts(balance=1000.0),
        staleness=staleness,
        clock=ManualClock(),
    )
    if request.param == "2025":
        with run_api_of_2025(settings, launcher) as (emulator, api):
            yield World(tmp_path, emulator.url, api.url, launcher, request.param)
    else:
        with run_platform(settings, launcher) as emulator, serve_strict_api(emulator.url) as api:
            yield World(tmp_path, emulator.url, api.url, launcher, request.param)


def test_every_command_works_without_what_only_the_emulator_has(world: World) -> None:
    rows = [row for row in ROWS if row.only in ("", world.edition)]
    problems = [problem for row in rows if (problem := world.find_problem(row))]
    assert not problems, "\n\n".join(problems)
    started = {instance.chute.name: instance.chute.environment for instance in world.launcher.launched}
    assert started["case"] == {"TOKEN": SECRET_VALUE, "OTHER": SECRET_VALUE}


def test_a_column_without_a_value_is_found() -> None:
    table = " instance   failures   reason \n ──────────────────────────── \n 3e3e8189              it     \n"
    assert find_empty_columns(table) == ["failures"]
