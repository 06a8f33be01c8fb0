"""The installed package in an empty folder: it does everything that a checkout does, without conflicts with the user's files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from chutes_wrappers.core.program import INSTALLED, VERSION
from chutes_wrappers.facade import __all__ as helpers
from chutes_wrappers.host.modules.templates import TEMPLATES
from tests.installed import Installed, build_wheel, install, uninstall
from tests.packages.environments import create_environment
from tests.scenario import ROOT, find_free_port
from tests.traps import FOLDERS, OWN_FOLDERS, spread_traps
from tests.upstreams.scripted import json_reply, serve_script

pytestmark = pytest.mark.packages
PROGRAMS = (INSTALLED.deploy, INSTALLED.account, INSTALLED.discover, INSTALLED.emulator)
INSTALL = "pipx install ."
# What a user's folder may have as `tools`, and how a module of it is imported.
FOREIGN_TOOLS = {
    "nothing": ({}, ""),
    "a package": ({"tools/__init__.py": "", "tools/own.py": "X = 1\n"}, "from tools.own import X"),
    "a folder": ({"tools/own.py": "X = 1\n"}, "from tools.own import X"),
    "a module": ({"tools.py": "X = 1\n"}, "from tools import X"),
}


# The platform's API at a port that nothing listens on.
NOWHERE = {"CHUTES_API_URL": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def package(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(wheel, tmp_path_factory.mktemp("environment"))


@pytest.fixture
def sample(package: Installed, tmp_path: Path) -> Path:
    """The sample's module, on free ports, in a folder with nothing else than its service."""
    run(package, "chutes-wrappers --template deploy_example", tmp_path)
    module = tmp_path / "deploy_example.py"
    speak, listen = find_free_port(), find_free_port()
    source = (
        module.read_text().replace("[8020, 8080]", f"[{speak}, {listen}]").replace('"port": 8080', f'"port": {listen}')
    )
    source = source.replace("&& exec python3", f"&& PORT_SPEAK={speak} PORT_LISTEN={listen} exec python3")
    module.write_text(source)
    return module


def run(package: Installed, command: str, folder: Path, *more: str) -> str:
    """Run a command of the README unchanged, with ``more`` arguments."""
    program, *arguments = command.split()
    return package.run(program, *arguments, *more, folder=folder)


def list_tracked_files(*patterns: str) -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}


def test_the_wheel_holds_the_package_the_templates_and_the_finder_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    project = {"deploy_example.py", "tools/__init__.py", "tools/chute_wrappers.py", *list_tracked_files("examples")}
    assert names == {
        *list_tracked_files("chutes_wrappers"),
        *(f"chutes_wrappers/project/{name}" for name in project),
        "_chutes_wrappers_tools.py",
        "chutes_wrappers_tools.pth",
    }


def test_the_source_distribution_holds_every_file(wheel: Path) -> None:
    (archive,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    assert list_tracked_files() <= names


def test_version_and_dependencies_come_from_their_one_source(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        metadata = message_from_string(files.read(f"chutes_wrappers-{VERSION}.dist-info/METADATA").decode())
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    required = {str(Requirement(line)).lower() for line in lines if line and not line.startswith("#")}
    assert metadata["Version"] == VERSION
    assert {str(Requirement(line)).lower() for line in metadata.get_all("Requires-Dist", [])} == required


def test_every_program_starts_and_prints_its_name(package: Installed, tmp_path: Path) -> None:
    for program in PROGRAMS:
        assert re.match(rf"[Uu]sage: {program} ", package.run(program, "--help", folder=tmp_path))


def test_nothing_is_imported_from_the_current_folder(package: Installed, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "sprung").mkdir()
    spread_traps(tmp_path / "here", tmp_path / "sprung", FOLDERS + OWN_FOLDERS)
    for program in PROGRAMS:
        package.run(program, "--help", folder=tmp_path / "here")
    assert [path.name for path in (tmp_path / "sprung").iterdir()] == []


def test_the_installed_command_prints_its_version(package: Installed, tmp_path: Path) -> None:
    assert VERSION in package.run(INSTALLED.deploy, "--version", folder=tmp_path)


def test_a_missing_template_is_offered(package: Installed, tmp_path: Path) -> None:
    output = package.run(INSTALLED.deploy, "--emulate", "deploy_example", "--check", folder=tmp_path, code=2)
    assert "chutes-wrappers --template deploy_example" in output


def test_every_template_is_copied_and_can_be_read(package: Installed, tmp_path: Path) -> None:
    for name, (module, _) in TEMPLATES.items():
        package.run(INSTALLED.deploy, "--template", name, folder=tmp_path)
        package.run("python", str(tmp_path / module), folder=tmp_path)
    copied = [path.read_text() for path in tmp_path.rglob("*") if path.suffix in (".py", ".md")]
    assert copied
    assert not [text for text in copied if re.search(r"deploy\.sh|setup\.sh|\.venv", text)]


def test_the_sample_would_work_and_nothing_is_written_into_the_environment(
    package: Installed, sample: Path, tmp_path: Path
) -> None:
    before = files_of(package)
    check = ("--no-docker", "--check", "--watch", "0")
    output = run(package, "chutes-wrappers --emulate deploy_example", tmp_path, *check)
    assert "7 proven · 0 not proven · 0 failing" in output
    assert "deploy.sh" not in output
    assert files_of(package) == before


def files_of(package: Installed) -> dict[Path, int]:
    """Return every file of the environment with the time of its last change, without Python's caches."""
    files = (path for path in package.prefix.rglob("*") if path.is_file() and path.parent.name != "__pycache__")
    return {path: path.stat().st_mtime_ns for path in files}


def test_the_verb_without_dashes_works_too(package: Installed, sample: Path, tmp_path: Path) -> None:
    output = package.run(INSTALLED.deploy, "emulate", sample.stem, "--port", "0x50", folder=tmp_path, code=2)
    assert "not a port" in output


@pytest.mark.exhaustive
def test_pipx_installs_it_with_everything_that_it_needs(tmp_path: Path) -> None:
    pipx = create_environment("pipx>=1.7,<2").parent / "pipx"
    places = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin"), "HOME": str(tmp_path)}
    argv = [str(pipx), *INSTALL.split()[1:], "--python", sys.executable]
    done = subprocess.run(
        argv, cwd=ROOT, env={**os.environ, **places}, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    package = Installed(prefix=tmp_path / "pipx" / "venvs" / "chutes-wrappers")
    package.run(INSTALLED.deploy, "--template", "deploy_search", folder=tmp_path)
    emulate = ("--emulate", "examples/deploy_search", "--no-docker", "--check", "--watch", "0")
    assert "0 not proven · 0 failing" in package.run(INSTALLED.deploy, *emulate, folder=tmp_path)


@pytest.mark.parametrize("kind", FOREIGN_TOOLS)
def test_the_helpers_are_imported_beside_tools_of_the_users_own(
    package: Installed, sample: Path, tmp_path: Path, kind: str
) -> None:
    own = write_tools(tmp_path, kind)
    source = f"{sample.read_text()}\n{own}\nassert build_wrapper_image.__module__ == 'chutes_wrappers.sdk.image'\n"
    sample.write_text(source)
    package.run("python", sample.name, folder=tmp_path)


def test_the_sdk_and_commands_load_a_module_beside_tools_of_the_users_own(
    package: Installed, sample: Path, tmp_path: Path
) -> None:
    own = write_tools(tmp_path, "a package")
    plain = sample.read_text()
    sample.write_text(f"{plain}\n{own}\n")
    load = "from chutes.entrypoint._shared import load_chute; load_chute('deploy_example:chute', None, True)"
    package.run("python", "-c", load, folder=tmp_path)
    sample.write_text(plain.replace('CHUTE_TAG = "', 'CHUTE_TAG = "v" + "'))  # a command has to run it
    output = package.run(INSTALLED.deploy, "--cost", "deploy_example", folder=tmp_path, code=1, variables=NOWHERE)
    assert "127.0.0.1:9" in output


def write_tools(folder: Path, kind: str) -> str:
    """Write the user's own ``tools`` into ``folder``. Return how a module imports one of them."""
    files, own = FOREIGN_TOOLS[kind]
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    return own


def test_the_helpers_are_names_of_the_package_too(package: Installed, tmp_path: Path) -> None:
    script = f"from chutes_wrappers import {', '.join(helpers)}; import tools.chute_wrappers as tools\n"
    script += f"assert [getattr(tools, name) for name in {helpers}] == [{', '.join(helpers)}]"
    package.run("python", "-c", script, folder=tmp_path)


def test_a_build_by_the_sdks_own_command_names_ours(package: Installed, sample: Path, tmp_path: Path) -> None:
    build = "from chutes.cli import app; app()"
    output = package.run("python", "-c", build, "build", "deploy_example:chute", "--local", folder=tmp_path, code=1)
    assert "chutes-wrappers --build MODULE" in output


def test_a_worker_that_a_module_spawns_has_the_helpers(package: Installed, tmp_path: Path) -> None:
    (tmp_path / "spawning.py").write_text(
        "import multiprocessing\n"
        "def loaded():\n    import tools.chute_wrappers\n    print(tools.chute_wrappers.__name__)\n"
        "def main():\n    worker = multiprocessing.get_context('spawn').Process(target=loaded)\n"
        "    worker.start()\n    worker.join()\n    return worker.exitcode\n"
    )
    start = str(package.packages / "chutes_wrappers" / "start.py")
    output = package.run("python", start, "spawning:main", folder=tmp_path, variables={"PYTHONPATH": str(tmp_path)})
    assert output == "tools.chute_wrappers\n"


def test_the_installed_discovery_finds_the_routes_of_a_service(package: Installed, tmp_path: Path) -> None:
    specification = {"/openapi.json": json_reply({"openapi": "3.1.0", "paths": {"/say": {"get": {}}}})}
    with serve_script(specification) as server:
        output = package.run(INSTALLED.discover, "--base-url", server.root, "--port", "8020", folder=tmp_path)
    assert '"/say"' in output


def test_the_doctor_and_the_help_recommend_nothing_that_only_a_checkout_has(package: Installed, tmp_path: Path) -> None:
    output = subprocess.run(
        [package.prefix / "bin" / INSTALLED.deploy, "--doctor", "--json"],
        cwd=tmp_path,
        env={**package.environment(tmp_path), **NOWHERE},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert json.loads(output.stdout)
    text = output.stdout + package.run(INSTALLED.deploy, "--help", folder=tmp_path)
    for group in ("make", "try", "platform", "use", "help"):
        text += package.run(INSTALLED.deploy, "--help", group, folder=tmp_path)
    assert not re.findall(r".*(?:deploy\.sh|setup\.sh|\.venv|tools/).*", text)


def test_every_python_of_the_environment_starts_without_loading_it(package: Installed, tmp_path: Path) -> None:
    script = (
        "import sys; print([name for name in ('chutes_wrappers', 'chutes', 'importlib.util') if name in sys.modules])"
    )
    assert package.run("python", "-c", script, folder=tmp_path) == "[]\n"


def test_leftovers_of_a_removed_package_do_no_harm(wheel: Path, tmp_path: Path) -> None:
    package = install(wheel, tmp_path / "environment")
    (package.packages / "_chutes_wrappers_tools.py").unlink()
    assert package.run("python", "-c", "import json", folder=tmp_path) == ""
    uninstall(package)
    left = [path for path in package.packages.iterdir() if "chutes_wrappers" in path.name]
    assert [path.name for path in left] == []
    assert not [path for path in (package.prefix / "bin").iterdir() if path.name in PROGRAMS]
