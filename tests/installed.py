"""The package as its users have it: a wheel, built from the source distribution, in a separate environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.packages.environments import create_environment
from tests.scenario import ROOT


def build_wheel(folder: Path) -> Path:
    """Build a wheel in ``folder``, next to its source distribution."""
    python = create_environment("build>=1.2,<2")
    _run_checked([str(python), "-m", "build", "--outdir", str(folder), str(ROOT)])
    (wheel,) = folder.glob("*.whl")
    return wheel


@dataclass(frozen=True, kw_only=True)
class Installed:
    """An environment with the package. The dependencies come from the environment of the tests."""

    prefix: Path

    @property
    def python(self) -> Path:
        """The Python of the environment."""
        return self.prefix / "bin" / "python"

    @property
    def packages(self) -> Path:
        """The folder of the packages."""
        return Path(sysconfig.get_path("purelib", vars={"base": str(self.prefix)}))

    def run(
        self,
        program: str,
        *arguments: str,
        folder: Path,
        code: int = 0,
        variables: Mapping[str, str] | None = None,
        timeout_s: float = 570,
    ) -> str:
        """Run one of its programs in ``folder`` and return the output; fails for another exit code than ``code``."""
        done = subprocess.run(
            [self.prefix / "bin" / program, *arguments],
            cwd=folder,
            env={**self.environment(folder), **(variables or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def environment(self, home: Path) -> dict[str, str]:
        """Return the variables of a user without a checkout of this project and without an account."""
        dropped = ("CHUTES_", "CHUTE_", "PYTHON", "VIRTUAL_ENV", "COLUMNS", "LINES")
        variables = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        return {**variables, "HOME": str(home), "CHUTES_USERNAME": "tester", "NO_COLOR": "1"}


def install(wheel: Path, prefix: Path) -> Installed:
    """Install ``wheel`` in a new environment at ``prefix``, without a registry."""
    venv.create(prefix, symlinks=True)
    environment = Installed(prefix=prefix)
    _pip(environment, "install", "--no-deps", "--no-index", str(wheel))
    (environment.packages / "zz_dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return environment


def uninstall(environment: Installed) -> None:
    """Uninstall the package from ``environment``."""
    _pip(environment, "uninstall", *(() if shutil.which("uv") else ("-y",)), "chutes-wrappers")


def _pip(environment: Installed, verb: str, *arguments: str) -> None:
    python, uv = str(environment.python), shutil.which("uv")
    if uv:
        _run_checked([uv, "pip", verb, "--python", python, *arguments])
    else:
        _run_checked([sys.executable, "-m", "pip", "--python", python, verb, *arguments])


def _run_checked(argv: Sequence[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
