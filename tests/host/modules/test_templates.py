from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chutes_wrappers.core import program
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.platform_rules import GPU_HOURLY_PRICES
from chutes_wrappers.host.creation.module_source import build_cost_lines
from chutes_wrappers.host.modules import templates
from chutes_wrappers.host.modules.templates import TEMPLATES, copy_template
from tests.scenario import ROOT


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_copied_with_its_service_at_the_paths_of_the_checkout(name: str, tmp_path: Path) -> None:
    copied = copy_template(name, tmp_path)
    module, service = TEMPLATES[name]
    assert copied[0] == tmp_path / module
    assert {path.relative_to(tmp_path).parts[:2] for path in copied[1:]} == {Path(service).parts}
    for path in copied:
        assert path.read_bytes() == (ROOT / path.relative_to(tmp_path)).read_bytes()


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_says_what_its_limits_cost_at_the_known_price(name: str) -> None:
    source = (ROOT / TEMPLATES[name][0]).read_text(encoding="utf-8")
    for line in build_cost_lines():
        assert f"    {line}\n" in source


def test_the_costs_in_the_templates_are_computed() -> None:
    usd = GPU_HOURLY_PRICES["pro_6000"]
    hourly, idle, shutdown, most, instances = build_cost_lines()
    assert f"${usd:.2f} an hour (price of August 2026;" in hourly
    assert (f"up to ${usd * 300 / 3600:.2f} each time" in idle, shutdown) == (True, "shutdown_after_seconds=300,")
    assert (f"at most ${usd:.2f} an hour" in most, instances) == (True, "max_instances=1,")


def test_compiled_python_files_are_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, folder = tmp_path / "project", tmp_path / "folder"
    compiled = project / "examples" / "search" / "__pycache__"
    compiled.mkdir(parents=True)
    for path in (project / "examples" / "deploy_search.py", compiled.parent / "app.py", compiled / "app.pyc"):
        path.touch()
    monkeypatch.setattr(program, "PROJECT_FILES", project)
    copied = [path.relative_to(folder).as_posix() for path in copy_template("deploy_search", folder)]
    assert copied == ["examples/deploy_search.py", "examples/search/app.py"]


def test_every_module_of_the_project_is_a_template() -> None:
    examples = {path.stem for path in (ROOT / "examples").glob("deploy_*.py")}
    assert {*TEMPLATES} == {"deploy_example", *examples}


def test_an_existing_file_with_other_content_stops_the_copy_before_anything_is_written(tmp_path: Path) -> None:
    existing = tmp_path / "examples" / "morse" / "Dockerfile"
    existing.parent.mkdir(parents=True)
    existing.write_text("FROM content\n")
    with pytest.raises(ConfigurationError, match=r"Dockerfile: already exists"):
        copy_template("deploy_example", tmp_path)
    assert existing.read_text() == "FROM content\n"
    assert not (tmp_path / "deploy_example.py").exists()


@pytest.mark.parametrize(
    "make",
    [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere")],
    ids=["a folder", "a pipe", "a link that leads nowhere"],
)
def test_an_existing_path_that_is_not_a_file_is_not_replaced(make: Callable[[Path], None], tmp_path: Path) -> None:
    module = tmp_path / "deploy_example.py"
    make(module)
    with pytest.raises(ConfigurationError, match="nothing is overwritten"):
        copy_template("deploy_example", tmp_path)
    assert list(tmp_path.iterdir()) == [module]


@pytest.mark.parametrize(
    ("location", "make"),
    [("examples/search", Path.touch), ("examples", Path.touch), ("examples", lambda path: path.symlink_to("nowhere"))],
    ids=[
        "the service's folder is a file",
        "the first folder is a file",
        "the first folder is a link that leads nowhere",
    ],
)
def test_a_folder_that_cannot_be_made_stops_the_copy_before_anything_is_written(
    location: str, make: Callable[[Path], None], tmp_path: Path
) -> None:
    (tmp_path / location).parent.mkdir(exist_ok=True)
    make(tmp_path / location)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        copy_template("deploy_search", tmp_path)
    assert list(tmp_path.rglob("*.py")) == []


def test_a_file_that_appears_while_others_are_copied_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    existing = tmp_path / "examples" / "search" / "app.py"

    def make_folder(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if folder == existing.parent:
            existing.write_text("content")

    monkeypatch.setattr(templates, "_make_folder", make_folder)
    with pytest.raises(ConfigurationError, match="already exists"):
        copy_template("deploy_search", tmp_path)
    assert existing.read_text() == "content"


def test_a_partial_file_is_removed(tmp_path: Path) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limit[1]))
    try:
        with pytest.raises(ConfigurationError, match="File too large"):
            copy_template("deploy_search", tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_copying_again_changes_nothing(tmp_path: Path) -> None:
    first = {path: path.stat().st_mtime_ns for path in copy_template("deploy_search", tmp_path)}
    assert {path: path.stat().st_mtime_ns for path in copy_template("deploy_search", tmp_path)} == first


def test_an_unknown_template_and_a_read_only_folder_are_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"unknown template 'deploy_x'\nNext: use one of: deploy_example"):
        copy_template("deploy_x", tmp_path)
    (tmp_path / "examples").write_text("a file")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        copy_template("deploy_search", tmp_path)


def test_installed_files_have_the_installed_commands_and_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "IS_INSTALLED", True)
    monkeypatch.setattr(
        templates, "replace_command_names", lambda text: program.replace_command_names(text, program.INSTALLED)
    )
    text = "\n".join(path.read_text() for path in copy_template("deploy_example", tmp_path) if path.suffix == ".py")
    assert "chutes-wrappers --discover deploy_example" in text
    assert "the account of chutes-wrappers-account" in text
    assert "deploy.sh" not in text
    module, *_ = copy_template("deploy_completions", tmp_path)
    assert f"exec {sys.executable} completions/app.py" in module.read_text()
