"""One checkout as facts: runs its command lines without Docker and network, against its own emulator."""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from acceptance import facts
from acceptance.scripted_registry import serve_registry

ROOT = Path(__file__).resolve().parents[1]
COMMAND_LINES = Path(__file__).with_name("command_lines.txt")
_TIMEOUT_S = 100.0
_EMULATOR = "http://127.0.0.1:9000"
_HELPERS = """
import inspect, json, tools.chute_wrappers as helpers
def plain(value):
    signature = inspect.signature(value)
    parameters = [each.replace(annotation=each.empty) for each in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty)).replace(" ", "")
print(json.dumps({name: plain(getattr(helpers, name)) for name in helpers.__all__ if callable(getattr(helpers, name))}))
"""


class Recorder:
    """Runs commands of ``checkout`` in ``folder``, and keeps what they did in ``facts``."""

    def __init__(self, checkout: Path, folder: Path) -> None:
        self.facts: dict[str, Any] = {}
        self._checkout, self._folder, self._work = checkout, folder, folder / "work"
        self._work.mkdir()
        self._variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "NO_COLOR": "1",
            "DOCKER_HOST": "unix:///nowhere",
            "PYTHONDONTWRITEBYTECODE": "1",
            "CHUTES_CONFIG_PATH": str(folder / "config.ini"),
        }

    def run_all(self, lines: Sequence[str]) -> None:
        """Run command lines in their order; one that begins with ``until URL:`` runs until all of them have ended."""
        with contextlib.ExitStack() as stack:
            for line in lines:
                if line.startswith("until "):
                    url, _, background = line.removeprefix("until ").partition(": ")
                    stack.enter_context(self.running(background, url))
                else:
                    self.run(line, stdin="a secret")

    def run(self, line: str, *, note: str = "", stdin: str = "", variables: Mapping[str, str] | None = None) -> str:
        """Run a command line to its end; return its standard output. Its facts are named after the line and ``note``."""
        done = subprocess.run(
            self._build_argv(line),
            cwd=self._work,
            env={**self._variables, **(variables or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        self._keep(line + note, done.returncode, done.stdout)
        return done.stdout

    @contextlib.contextmanager
    def running(self, line: str, url: str = "") -> Iterator[None]:
        """Run a command line until the context ends, which begins once ``url`` responds, or it has printed something."""
        path = self._folder / f"stdout-{len(self.facts)}"
        with path.open("w") as stdout:
            argv, nothing = self._build_argv(line), subprocess.DEVNULL
            process = subprocess.Popen(
                argv, cwd=self._work, env=self._variables, stdin=nothing, stdout=stdout, stderr=nothing
            )
        try:
            _wait_until(lambda: process.poll() is not None or (_is_reachable(url) if url else path.stat().st_size > 0))
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
        self._keep(line, process.returncode, "" if url else path.read_text())

    def copy_sample(self) -> None:
        """Replace the template by the sample of this checkout, so that all recordings have the same module and service."""
        shutil.copytree(ROOT / "examples" / "morse", self._work / "examples" / "morse", dirs_exist_ok=True)
        shutil.copy(ROOT / "deploy_example.py", self._work)

    @contextlib.contextmanager
    def service(self) -> Iterator[None]:
        """Run the sample's service, which the template has copied."""
        argv = [sys.executable, "-m", "morse"]
        process = subprocess.Popen(argv, cwd=self._work / "examples" / "morse", stderr=subprocess.DEVNULL)
        try:
            _wait_until(lambda: _is_reachable("http://127.0.0.1:8020/health"))
            yield
        finally:
            process.terminate()
            process.wait(60)

    def register(self, username: str) -> None:
        """Register another account at the emulator by the account's wizard."""
        config = configparser.ConfigParser(interpolation=None)
        config.read(self._folder / "config.ini")
        variables = {
            "CHUTES_API_URL": _EMULATOR,
            "CHUTES_CONFIG_PATH": str(self._folder / f"{username}.ini"),
            "CHUTES_REGISTRATION_TOKEN": config["emulator"]["registration_token"],
        }
        self.run(f"account --register {username} --wallet new", variables=variables)

    def keep_flags(self) -> list[str]:
        """Keep the flags of every command; return the commands."""
        verbs = facts.parse_commands(self.run("--help"))
        for verb in verbs:
            self.facts.update(
                {f"--help {verb} / {flag}": True for flag in facts.parse_flags(self.run(f"--help {verb}"))}
            )
        return verbs

    def keep_files(self) -> None:
        """Keep the content of every JSON file in the folder, and the variables of every module."""
        for path in sorted(self._work.glob("*.*")):
            self.facts[f"file {path.name}"] = True
            if path.suffix == ".json":
                self.facts.update(facts.flatten(json.loads(path.read_text()), f"file {path.name}"))
            elif path.suffix == ".py":
                self.facts.update(facts.flatten(facts.parse_module(path.read_text()), f"file {path.name}"))

    def keep_interface(self) -> None:
        """Keep the signatures of the helpers, and the names of variables in the source."""
        variables = {**self._variables, "PYTHONPATH": str(self._checkout)}
        done = subprocess.run(
            [sys.executable, "-c", _HELPERS], cwd=self._work, env=variables, capture_output=True, text=True, check=True
        )
        self.facts.update(facts.flatten(json.loads(done.stdout), "helper"))
        for path in (*self._checkout.glob("*.sh"), *self._checkout.glob("chutes_wrappers/**/*.*")):
            if path.suffix in (".py", ".sh"):
                self.facts.update({f"variable {name}": True for name in facts.find_names(path.read_text())})

    def _build_argv(self, line: str) -> list[str]:
        program, *arguments = shlex.split(line if line[0] != "-" else f"deploy {line}")
        start = self._checkout / "chutes_wrappers" / "start.py"
        return [sys.executable, str(start), f"chutes_wrappers.start:{program}", *arguments]

    def _keep(self, name: str, code: int, stdout: str) -> None:
        for path, placeholder in ((self._folder, "FOLDER"), (self._checkout, "CHECKOUT")):
            name, stdout = name.replace(str(path), placeholder), stdout.replace(str(path), placeholder)
        self.facts[f"{name} / {facts.EXIT_CODE}"] = code
        self.facts.update(facts.flatten(facts.parse_output(stdout), f"{name} / stdout"))


def record(checkout: Path, folder: Path) -> dict[str, Any]:
    """Run all command lines in ``checkout``, with the new ``folder`` for everything that they write.

    Needs the ports 5000, 8020, 8080 and 9000 to 9180 of 127.0.0.1.
    """
    sections = facts.parse_sections(COMMAND_LINES.read_text(encoding="utf-8"))
    recorder = Recorder(checkout, folder)
    recorder.keep_interface()
    recorder.facts["commands"] = " ".join(recorder.keep_flags())
    emulator = f"emulator --no-docker --port 9000 --folder {folder}/state --config {folder}/config.ini"
    with serve_registry(), recorder.running(emulator, _EMULATOR):
        recorder.run_all(sections["template"])
        recorder.copy_sample()
        recorder.run_all(sections["before the service"])
        recorder.register("second")
        with recorder.service():
            recorder.run_all(sections["with the service"])
            recorder.run_all(sections["failures"])
            for line in {line.split()[0]: line for line in reversed(sections["failures"])}.values():
                recorder.run(line, note=" (no account)", variables={"CHUTES_CONFIG_PATH": "none.ini"})
            recorder.run_all(sections["deletion"])
    recorder.keep_files()
    return recorder.facts


def _is_reachable(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10):
        return True
    return False


def _wait_until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + _TIMEOUT_S
    while not condition():
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"not ready after {_TIMEOUT_S:g} s")
        time.sleep(0.1)
