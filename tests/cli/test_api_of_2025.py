"""Every command that uses the platform, at its server of October 2025 and at the strict API of August 2026.

Neither has what only the emulator adds. Each command must have the right exit code and words, and no column without a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chutes_wrappers.emulator.server import run_platform
from chutes_wrappers.emulator.staleness import PLATFORM_STALENESS, Staleness
from tests.cli.real_api import SECRET_VALUE, Row, World, build_settings, find_empty_columns
from tests.emulator.tiny import TinyInstance, TinyLauncher
from tests.fork_server import WIZARD
from tests.scenario import READY
from tests.upstreams.api_of_2025 import run_api_of_2025, serve_strict_api

# In the order in which they run.
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
    Row("--list-chutes", words="case-wrapped", only="2025"),  # although it remembers the list of before
    Row("--verify MODULE --yes", words="1 equal, 0 different, 0 failed", only="2025"),
    Row("--deploy MODULE --yes", words="is deployed with 1 cords", only="2025", edit="# another version\n"),
    Row("--verify MODULE --yes", 2, "--emulate", only="2025"),
    Row("--rollback case-wrapped --yes", words="is rolled back to case-wrapped:v1", only="2025"),
    Row("--logs case --startup", 1, "has no startup log|--warmup case"),
    Row("--warmup case --timeout 60 --json", words='"status": "hot"'),
    Row("--warmup case --timeout 60 --follow", words="case is hot: 1 active instance"),
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
    # The API of 2025 calls the action of a key "method".
    Row("--key", words="may call chutes and nothing else", key="", program=WIZARD),
    Row("--key", words="is kept: it may call chutes and nothing else", key="", program=WIZARD),
    Row("--doctor", words="accepts it|balance|API key", wrong="unset CHUTES_API_KEY", key="invoke"),
    # Their errors.
    Row("--status nope", 1, "chute 'nope' not found|--list-chutes"),
    Row("--delete-image case:v1 --yes", 1, "409|in use|--delete case"),
    Row("--delete case --yes", words="the chute case was deleted"),
    Row("--delete-image case:v1 --yes", words="the image case:v1 was deleted"),
)


@dataclass(frozen=True)
class Edition:
    """An account at one edition of the API; ``launcher`` starts its instances."""

    name: str
    world: World
    launcher: TinyLauncher


@pytest.fixture(params=["2025", "2026"])
def edition(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Edition]:
    """The server of 2025 remembers its list of chutes for 60 s, that of 2026 a missing chute for 30 s. Neither passes here."""
    launcher = TinyLauncher()
    if request.param == "2025":
        settings = build_settings(tmp_path, Staleness(chute_list_s=60, deleted_key_s=60))
        with run_api_of_2025(settings, launcher) as (emulator, api):
            yield Edition(request.param, World(tmp_path, emulator.url, api.url), launcher)
    else:
        settings = build_settings(tmp_path, PLATFORM_STALENESS)
        with run_platform(settings, launcher) as emulator, serve_strict_api(emulator.url) as api:
            yield Edition(request.param, World(tmp_path, emulator.url, api.url), launcher)


def test_every_command_works_without_what_only_the_emulator_has(edition: Edition) -> None:
    rows = [row for row in ROWS if row.only in ("", edition.name)]
    problems = [problem for row in rows if (problem := edition.world.find_problem(row))]
    assert not problems, "\n\n".join(problems)
    started = {instance.chute.name: instance.chute.environment for instance in edition.launcher.launched}
    assert started["case"] == {"TOKEN": SECRET_VALUE, "OTHER": SECRET_VALUE}


def test_the_end_of_an_instance_that_no_list_shows_is_in_its_startup_log(tmp_path: Path) -> None:
    """The platform lists no ended instance, so the first request after the end finds nothing."""
    launcher = TinyLauncher()
    launcher.prepare = end_at_start
    settings = build_settings(tmp_path, PLATFORM_STALENESS)
    with run_platform(settings, launcher) as emulator, serve_strict_api(emulator.url) as api:
        world = World(tmp_path, emulator.url, api.url)
        for row in (
            Row("--warmup case --timeout 8", 1, "case is cold|--logs case --startup"),
            Row("--status case", 0, "cold|--logs case --startup"),
            Row("--logs case --startup", 0, "cannot load the model"),
        ):
            problem = world.find_problem(row)
            assert not problem, problem


def end_at_start(instance: TinyInstance) -> None:
    instance.serves.clear()
    instance.print_line("cannot load the model")
    instance.exit(3, "bye")


def test_a_column_without_a_value_is_found() -> None:
    table = " instance   failures   reason \n ──────────────────────────── \n 3e3e8189              it     \n"
    assert find_empty_columns(table) == ["failures"]
