"""An account at the platform's own API, and commands that are run there, with the words that each must and must not print."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from chutes_wrappers.core.manifest import Manifest, write_manifest
from chutes_wrappers.core.routes import Route
from chutes_wrappers.emulator import accounts
from chutes_wrappers.emulator.api.context import NewAccounts
from chutes_wrappers.emulator.server import Settings
from chutes_wrappers.emulator.staleness import Staleness
from chutes_wrappers.host.modules.module_facts import read_module
from chutes_wrappers.host.parity.example_calls import PublicCall
from chutes_wrappers.host.parity.recording import compute_example_hash
from chutes_wrappers.host.parity.response_record import (
    CordRecord,
    ResponseRecord,
    RouteRecord,
    build_record_path,
    compute_source_hashes,
    write_record,
)
from chutes_wrappers.host.parity.response_shapes import describe_shape
from tests.commands import KILLED, CommandResult, Commands
from tests.emulator.api.client import Client
from tests.emulator.tiny import ManualClock
from tests.emulator.tokens import TOKEN
from tests.fork_server import DEPLOY
from tests.scenario import Scenario
from tests.upstreams.api_of_2025 import WALLET_SECRET

SECRET_VALUE = "value-of-a-secret-4714"
ROUTE = Route(path="/encode", port=9000)


@dataclass(frozen=True)
class Row:
    """A command line, with ``MODULE`` for the module, and its result.

    ``words`` are in its output and ``wrong`` are not, separated by "|". ``only`` is the edition of the API that it is for,
    ``key`` the kind of API key that it has: "admin", "invoke", or none. ``edit`` is added to the module before.
    ``program`` is that of the fork server.
    """

    line: str
    code: int = 0
    words: str = ""
    wrong: str = ""
    stdin_text: str = ""
    until: str = ""
    only: str = ""
    key: str = "admin"
    edit: str = ""
    program: str = DEPLOY


class World:
    """An account with a chute, an image and a module, at one edition of the API."""

    def __init__(self, folder: Path, url: str, api_url: str) -> None:
        user, other = Client.register(url, "tester"), Client.register(url, "second")
        for client, name in ((user, "case"), (other, "others")):
            client.build_and_wait(name)
            assert client.deploy(name=name, image=f"{name}:v1").ok
        scope = {"object_type": "chutes", "action": "invoke"}
        self.user = user
        self.keys = {
            "": "",
            "admin": user.create_key(name="admin", admin=True)["secret_key"],
            "invoke": user.create_key(name="invoke", scopes=[scope])["secret_key"],
        }
        accounts.write_config(user.account, api_url, folder / "config.ini")
        scenario = Scenario(folder, "wrapped", "vendor/unused:1", [9000])
        write_manifest(Manifest(routes=(ROUTE,)), scenario.manifest)
        self.module = scenario.module
        _write_record(self.module)
        (folder / "call.json").write_text('{"name": "you"}')
        (folder / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("CHUTES_", "CHUTE_"))}
        more = {"HOME": str(folder), "CHUTES_CONFIG_PATH": str(folder / "config.ini")}
        self.commands = Commands(folder, {**variables, **more, "COLUMNS": "250"})
        self.secrets = (*filter(None, self.keys.values()), user.account.seed, SECRET_VALUE, WALLET_SECRET)

    def run(self, row: Row) -> CommandResult:
        words = [str(self.module) if word == "MODULE" else word for word in row.line.split()]
        variables = {"CHUTES_API_KEY": self.keys[row.key]}
        commands = replace(self.commands, target=row.program)
        return commands.run(*words, stdin_text=row.stdin_text, until=row.until, variables=variables)

    def prepare(self, row: Row) -> None:
        """Make sure that the module's image exists for a deployment, and does not for a build."""
        if row.line.startswith("--build"):
            self.user.delete("/images/case-wrapped:v1")
        elif row.line.startswith("--deploy") and not self.user.get("/images/case-wrapped:v1").ok:
            assert self.user.build_and_wait("case-wrapped")

    def find_problem(self, row: Row) -> str:
        """Return what is wrong with the command of a row; empty when nothing is."""
        self.module.write_text(self.module.read_text() + row.edit)
        ran = self.run(row)
        text = ran.stdout + ran.stderr
        problems = [f"exit code {ran.code}"] if ran.code != (KILLED if row.until else row.code) else []
        problems += [f"{word!r} is missing" for word in filter(None, row.words.split("|")) if word not in text]
        bad = (*filter(None, row.wrong.split("|")), *self.secrets, "Traceback", "None", "fault of the toolkit")
        problems += [f"{word!r} is there" for word in bad if word in text]
        problems += [f"the column {name!r} has no value" for name in find_empty_columns(text)]
        has_next_step = "Next:" in ran.stderr or "Fix:" in ran.stdout
        problems += ["no next step"] if ran.code in (1, 2) and not has_next_step else []
        return f"{row.line}: {'; '.join(problems)}\n{text}" if problems else ""


def _write_record(module: Path) -> None:
    """Write what ``--emulate`` writes after a call of the module's route."""
    facts, manifest = read_module(module), Manifest(routes=(ROUTE,))
    call = PublicCall(method=ROUTE.method, path=ROUTE.path, example={})
    route = RouteRecord(
        method=call.method,
        path=call.path,
        example=compute_example_hash(call),
        status=200,
        service_status=200,
        media_types=("application/json",),
        size=27,
        shape=describe_shape({"json": {}, "params": {}}),
    )
    path = "/cw_post/encode"
    cord = CordRecord(path=path, public_api_path=call.path, public_api_method=call.method)
    record = ResponseRecord(**compute_source_hashes(facts, manifest), cords=(cord,), routes=(route,))  # type: ignore[arg-type]
    write_record(record, build_record_path(facts))


def build_settings(folder: Path, staleness: Staleness) -> Settings:
    """Return the settings of an emulator whose clock stands still: what the API remembers stays remembered."""
    return Settings(
        registration_token=TOKEN,
        folder=folder / "state",
        docker=False,
        new_accounts=NewAccounts(balance=1000.0),
        staleness=staleness,
        clock=ManualClock(),
    )


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
