"""The questions of ``--discover M``, and the flags that replace them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.cli.commands import discover
from chutes_wrappers.cli.commands.discover_module import DiscoverOptions, discover_module
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from tests.host.discovery.engines import FakeContainer, FakeEngine

MODULE = """
CHUTE_NAME = "x"
CHUTE_TAG = "v1"
CHUTE_BASE_IMAGE = "base:1"
SERVICE_PORTS = [8020]
"""


def run_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: DiscoverOptions) -> dict[str, Any]:
    (tmp_path / "deploy_x.py").write_text(MODULE)
    engine = FakeEngine(FakeContainer({}))
    monkeypatch.setattr("chutes_wrappers.host.container_engine.docker_engine.connect", lambda report: engine)
    recorded: dict[str, Any] = {}

    def record(facts: ModuleFacts, engine: FakeEngine, settings: discover.Settings, path: Path) -> None:
        recorded.update(settings=settings, path=path)

    monkeypatch.setattr(discover, "discover_and_write", record)
    discover_module(str(tmp_path / "deploy_x"), asked)
    return recorded


def test_yes_selects_the_seeds_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = run_module(tmp_path, monkeypatch, DiscoverOptions(yes=True))
    assert recorded["settings"] == discover.Settings(startup_delay_s=120, probe_timeout_s=180, gpus="all")
    assert recorded["settings"].bounds.timeout_s == 300
    assert recorded["path"] == tmp_path / "deploy_x.routes.json"


def test_flags_answer_the_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = DiscoverOptions(
        startup_delay_s=1.0, probe_timeout_s=2.0, gpus="none", expose="files", openapi=Path("a.json")
    )
    recorded = run_module(tmp_path, monkeypatch, options)
    assert recorded["settings"] == discover.Settings(
        startup_delay_s=1, probe_timeout_s=2, gpus="none", expose=frozenset({"files"}), openapi=Path("a.json")
    )


def test_an_invalid_category_is_rejected_before_any_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="'file' is not a category that can be exposed"):
        run_module(tmp_path, monkeypatch, DiscoverOptions(yes=True, expose="file"))


def test_at_a_terminal_missing_flags_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(["5", "", "none"]))
    recorded = run_module(tmp_path, monkeypatch, DiscoverOptions())
    assert recorded["settings"] == discover.Settings(startup_delay_s=5, probe_timeout_s=180, gpus="none")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Startup delay" in printed.err


def test_without_a_terminal_the_error_names_the_missing_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(ConfigurationError, match="--startup-delay"):
        run_module(tmp_path, monkeypatch, DiscoverOptions())


class Terminal:
    """Standard input of a user who types ``lines``."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = iter(lines)

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return next(self._lines) + "\n"

    def fileno(self) -> int:
        raise OSError("not a file")
