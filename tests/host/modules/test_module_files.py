from __future__ import annotations

import errno
import shlex
from pathlib import Path

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.modules import module_files
from chutes_wrappers.host.modules.module_files import format_module, resolve_module
from tests.scenario import ROOT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deploy_thing.py"


@pytest.mark.parametrize("suffix", ["", ".py"])
def test_a_module_is_named_with_or_without_its_ending(
    path: Path, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("")
    assert resolve_module(f"{path.with_suffix('')}{suffix}") == path
    monkeypatch.chdir(tmp_path)
    assert resolve_module(f"deploy_thing{suffix}") == path


def test_a_module_may_be_named_from_anywhere_relative_to_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module_files, "PROJECT_ROOT", tmp_path / "project")
    (tmp_path / "project" / "examples").mkdir(parents=True)
    path = tmp_path / "project" / "examples" / "deploy_thing.py"
    path.write_text("")
    assert resolve_module("examples/deploy_thing") == path


@pytest.mark.parametrize("place", ["here/deploy_m.py", "here/sub folder/deploy_m.py", "elsewhere/deploy_m.py"])
def test_a_module_of_any_folder_is_named_so_that_it_is_found(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here" / "sub folder").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    module = tmp_path / place
    module.touch()
    (name,) = shlex.split(format_module(module))
    assert resolve_module(name) == module
    assert len(name) < len(str(module)) - len(".py") or place.startswith("elsewhere")


def test_a_module_of_the_project_is_named_by_its_path_if_the_folder_has_one_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = ROOT / "deploy_example.py"
    monkeypatch.chdir(tmp_path)
    assert format_module(example) == "deploy_example"
    (tmp_path / "deploy_example.py").touch()
    assert resolve_module(format_module(example)) == example


def test_an_unknown_module_suggests_the_most_similar_name(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("")
    monkeypatch.chdir(tmp_path)
    for text in ("deploy_thin", "thing", "thing.py", "other/deploy_thing"):
        with pytest.raises(ConfigurationError) as caught:
            resolve_module(text)
        assert caught.value.next_step == "did you mean deploy_thing?"


@pytest.mark.parametrize("text", ["deploy_zzz", "deploy", "xy"])
def test_a_name_that_is_not_similar_is_not_suggested(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        resolve_module(text)
    assert caught.value.next_step == "use one of: deploy_example"


@pytest.mark.parametrize("text", ["search", "deploy_search", "examples/search"])
def test_an_example_is_copied(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        resolve_module(text)
    assert caught.value.next_step == "copy it into the current folder: ./deploy.sh --template deploy_search"


@pytest.mark.parametrize("name", ["../x", "/", "", ".", "a b", "x" * 300, "deploy\0x", "loop/deploy_x"])
def test_invalid_names_are_configuration_errors(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ConfigurationError) as caught:
        resolve_module(name)
    assert caught.value.next_step


def test_a_folder_without_permission_is_an_error_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_denied(path: Path, strict: bool = False) -> Path:  # we may be root, whom nothing is denied
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "resolve", raise_denied)
    with pytest.raises(ConfigurationError, match="Permission denied"):
        resolve_module("deploy_example")


def test_a_folder_is_not_suggested_as_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deploy_dir.py").mkdir()
    with pytest.raises(ConfigurationError) as caught:
        resolve_module("deploy_dir")
    assert "deploy_dir?" not in str(caught.value.next_step)


def test_an_invalid_file_name_is_an_error_with_the_rule(tmp_path: Path) -> None:
    (tmp_path / "Deploy-Thing.py").write_text("")
    with pytest.raises(ConfigurationError, match="lower case"):
        resolve_module(str(tmp_path / "Deploy-Thing"))


@pytest.mark.parametrize("name", ["json", "click", "chutes", "docker", "tools", "chutes_wrappers"])
def test_the_name_of_a_module_of_python_or_of_a_package_is_rejected(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("")
    with pytest.raises(ConfigurationError, match=f"'{name}' is already the name of a module") as caught:
        resolve_module(str(tmp_path / name))
    assert f"deploy_{name}.py" in str(caught.value)


def test_a_module_that_is_on_the_path_itself_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "thing.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve_module(str(tmp_path / "thing")) == tmp_path / "thing.py"


def test_modules_of_the_folder_have_priority_over_those_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout, folder = tmp_path / "checkout", tmp_path / "folder"
    for each in (checkout, folder):
        each.mkdir()
    (checkout / "deploy_theirs.py").touch()
    monkeypatch.setattr(module_files, "PROJECT_ROOT", checkout)
    assert module_files.list_module_files(folder) == [checkout / "deploy_theirs.py"]
    (folder / "deploy_b.py").touch()
    (folder / "deploy_a.py").touch()
    assert module_files.list_module_files(folder) == [folder / "deploy_a.py", folder / "deploy_b.py"]


def test_installed_only_the_current_folder_is_searched_and_templates_are_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module_files, "PROJECT_ROOT", None)
    monkeypatch.chdir(tmp_path)
    assert module_files.list_module_files(tmp_path) == []
    with pytest.raises(ConfigurationError, match="--template deploy_example"):
        resolve_module("deploy_example")
    with pytest.raises(ConfigurationError, match="begin with a copy of the template"):
        resolve_module("deploy_anything")
