"""No entry point imports from the current folder, in any folder and in the checkout."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from docs.record import copy_project
from tests.scenario import ROOT, RunningCommand, Scenario, find_free_port, make_environment
from tests.traps import FOLDERS, OWN_FOLDERS, spread_traps
from tests.upstreams.scripted import json_reply, serve_script

SPECIFICATION = {"/openapi.json": json_reply({"openapi": "3.1.0", "paths": {"/say": {"get": {}}}})}


@dataclass(frozen=True, kw_only=True)
class CheckoutTarget:
    """A current folder, and the checkout whose programs run there."""

    folder: Path
    checkout: Path
    triggered_folder: Path

    def run(
        self, *argv: str | Path, pythonpath: str = "", code: int = 0, variables: Mapping[str, str] | None = None
    ) -> str:
        """Run a program there and return its output; fails if it fails or triggers a trap."""
        done = subprocess.run(
            [self.checkout / argv[0], *argv[1:]],
            cwd=self.folder,
            env={**make_environment(), "PYTHONPATH": pythonpath, **(variables or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.check()
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def python(self, script: str, *arguments: str) -> str:
        """Run a script of the checkout with its Python."""
        return self.run(Path(".venv", "bin", "python"), self.checkout / script, *arguments)

    def check(self) -> None:
        """Fail if something was imported from the folder."""
        assert [path.name for path in self.triggered_folder.iterdir()] == []


@pytest.fixture(scope="module")
def trapped_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with traps, beside the folder in which they create their files. No test writes to it."""
    folder = tmp_path_factory.mktemp("trapped")
    (folder / "sprung").mkdir()
    spread_traps(copy_project(folder / "project"), folder / "sprung", FOLDERS)
    return folder / "project"


@pytest.fixture
def elsewhere(trapped_checkout: Path) -> Iterator[CheckoutTarget]:
    """A folder with all traps; the checkout also has traps."""
    here, sprung = trapped_checkout.with_name("here"), trapped_checkout.with_name("sprung")
    here.mkdir()
    spread_traps(here, sprung, FOLDERS + OWN_FOLDERS)
    yield CheckoutTarget(folder=here, checkout=trapped_checkout, triggered_folder=sprung)
    shutil.rmtree(here)
    for path in sprung.iterdir():
        path.unlink()


@pytest.fixture(params=["elsewhere", "in the checkout"])
def place(request: pytest.FixtureRequest, elsewhere: CheckoutTarget) -> CheckoutTarget:
    return elsewhere if request.param == "elsewhere" else replace(elsewhere, folder=elsewhere.checkout)


# For Python, empty and relative entries, as in PYTHONPATH=$PYTHONPATH:/opt/lib, are the current folder.
@pytest.mark.parametrize("pythonpath", ["", ":/nowhere", "/nowhere:", "/nowhere::/nowhere", ".", "../here:../project"])
def test_help_comes_from_the_checkout(place: CheckoutTarget, pythonpath: str) -> None:
    assert "--emulate" in place.run("deploy.sh", "--help", pythonpath=pythonpath)


def test_a_trap_on_the_path_is_triggered(elsewhere: CheckoutTarget) -> None:
    with pytest.raises(AssertionError, match="encodings"):
        elsewhere.run("deploy.sh", "--help", pythonpath=str(elsewhere.folder))


def test_tab_imports_nothing(place: CheckoutTarget) -> None:
    variables = {"_DEPLOY_SH_COMPLETE": "bash_complete", "COMP_WORDS": "deploy.sh --disc", "COMP_CWORD": "1"}
    assert "--discover" in place.run("deploy.sh", pythonpath=":", variables=variables)


def test_the_environment_is_checked_and_the_account_set_up(place: CheckoutTarget, tmp_path: Path) -> None:
    assert "--register" in place.run("setup.sh", "--account", "--help", pythonpath=":")
    home = {"HOME": str(tmp_path), "CHUTES_CONFIG_PATH": str(tmp_path / "none.ini")}
    output_text = place.run("setup.sh", "--account", "--config", "nowhere.ini", pythonpath=":", code=2, variables=home)
    assert "nowhere.ini" in output_text


def test_the_discovery_script_reads_a_service(place: CheckoutTarget) -> None:
    with serve_script(SPECIFICATION) as server:
        assert '"/say"' in place.python("tools/discover_routes.py", "--base-url", server.root, "--port", "8020")


def test_the_emulator_serves_from_any_folder(place: CheckoutTarget, tmp_path: Path) -> None:
    argv = [str(place.checkout / ".venv/bin/python"), str(place.checkout / "tools/emulator.py"), "--no-docker"]
    with subprocess.Popen(
        [*argv, "--folder", str(tmp_path / "state")],
        cwd=place.folder,
        env=make_environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        output_text = next((line for line in process.stderr if "ready at" in line), "")
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
    assert (output_text != "", process.returncode) == (True, 0), rest
    place.check()


@pytest.fixture
def scenario(elsewhere: CheckoutTarget) -> Scenario:
    """A module next to the traps that computes a variable, and a command for its service."""
    port = find_free_port()
    route = {"path": "/list", "method": "GET", "target_path": "/"}
    target = Scenario(elsewhere.folder, "trapped", "vendor/unused:1", [port], static_routes=[route])
    serves = f"exec {sys.executable} -I -m http.server --bind 127.0.0.1 {port}"
    source = target.module.read_text().replace('CHUTE_TAG = "v1"', 'CHUTE_TAG = "".join(["v", "1"])')
    target.module.write_text(f"{source}\nHOST_ENTRYPOINT = {serves!r}\n")
    return target


def test_a_module_among_traps_passes_the_parity_check(elsewhere: CheckoutTarget, scenario: Scenario) -> None:
    check = ("--no-docker", "--check", "--yes", "--watch", "0")
    assert "1 proven · 0 not proven · 0 failing" in elsewhere.run(
        "deploy.sh", "--emulate", scenario.module.name, *check
    )


def test_a_module_among_traps_is_run(elsewhere: CheckoutTarget, scenario: Scenario) -> None:
    argv = [
        str(elsewhere.checkout / "deploy.sh"),
        "--run",
        scenario.module.name,
        "--port",
        str(find_free_port()),
        "--yes",
    ]
    (port,) = scenario.ports
    with (
        serve_script({}, port=port),
        subprocess.Popen(
            argv,
            cwd=elsewhere.folder,
            env=make_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        running = RunningCommand(process)
        try:
            running.wait_until_ready(150)
        finally:  # without the signal, the wait would never end
            process.send_signal(signal.SIGINT)
            code = process.wait(60)
            running.close()
        assert code == 0, running.output_text
    elsewhere.check()


def test_a_module_can_import_from_its_folder_after_everything_else(
    elsewhere: CheckoutTarget, scenario: Scenario
) -> None:
    (elsewhere.folder / "neighbour.py").write_text("import json\nTAG = json.loads('[\"v1\"]')[0]\n")
    source = scenario.module.read_text().replace('CHUTE_TAG = "', 'from neighbour import TAG as CHUTE_TAG\nTAG = "')
    scenario.module.write_text(source)
    output_text = elsewhere.run(
        "deploy.sh", "--discover", scenario.module.name, "--yes", code=1, variables={"DOCKER_HOST": "unix:///nowhere"}
    )
    assert "no Docker engine" in output_text


def test_optional_packages_are_not_imported_from_the_folder_of_a_module(
    elsewhere: CheckoutTarget, scenario: Scenario
) -> None:
    ran = elsewhere.folder / "ran"
    for name in ("chardet", "simplejson", "email_validator", "ujson"):
        (elsewhere.folder / f"{name}.py").write_text(f"print({name!r}, file=open({str(ran)!r}, 'a'))\n")
    elsewhere.run(
        "deploy.sh", "--discover", scenario.module.name, "--yes", code=1, variables={"DOCKER_HOST": "unix:///nowhere"}
    )
    assert not ran.exists()


def test_a_script_imports_nothing_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "sprung").mkdir()
    (tmp_path / "bin").mkdir()
    spread_traps(tmp_path / "bin", tmp_path / "sprung", ("docker", "requests"))
    script = tmp_path / "bin" / "a-script"
    script.write_text(
        f"import sys\nsys.path.append({str(ROOT)!r})\nfrom chutes_wrappers.start import deploy\ndeploy()\n"
    )
    done = subprocess.run(
        [sys.executable, script, "--help"],
        env=make_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr, [*(tmp_path / "sprung").iterdir()]) == (0, "", [])


def test_a_worker_that_a_module_spawns_has_our_package(tmp_path: Path) -> None:
    (tmp_path / "spawning.py").write_text(
        "import multiprocessing\n"
        "def loaded():\n    import tools.chute_wrappers\n    print(tools.chute_wrappers.__name__)\n"
        "def main():\n    worker = multiprocessing.get_context('spawn').Process(target=loaded)\n"
        "    worker.start()\n    worker.join()\n    return worker.exitcode\n"
    )
    argv = [sys.executable, str(ROOT / "chutes_wrappers" / "start.py"), "spawning:main"]
    variables = {**make_environment(), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(argv, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "tools.chute_wrappers\n"), done.stderr


def test_a_missing_package_is_named_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "needy.py").write_text("import no_such_package\n")
    argv = [sys.executable, str(ROOT / "chutes_wrappers" / "start.py"), "needy:main"]
    variables = {**make_environment(), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(argv, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "the package no_such_package is missing" in done.stderr
    assert f"Next: rm -r {ROOT}/.venv, then run {ROOT}/setup.sh" in done.stderr
