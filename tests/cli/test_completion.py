"""What a shell completes, asked of the shell itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scenario import ROOT, environment

_BASH = """
source <(./deploy.sh --completion bash)
COMP_WORDS=({words}); COMP_CWORD={at}
_deploysh_completion ./deploy.sh
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A ``deploy.sh`` that runs this Python, since the project's own makes an environment first."""
    script = tmp_path / "deploy.sh"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m chutes_wrappers.cli.main "$@"\n')
    script.chmod(0o755)
    (tmp_path / "deploy_ocr.py").write_text("")
    return tmp_path


def completed(project: Path, words: str, at: int) -> list[str]:
    done = subprocess.run(
        ["bash", "-c", _BASH.format(words=words, at=at)],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.split()


def test_bash_completes_flags_and_modules(project: Path) -> None:
    assert completed(project, "./deploy.sh --disc", 1) == ["--discover"]
    assert completed(project, "./deploy.sh --build dep", 2) == ["deploy_ocr"]
    assert {"--status", "--doctor"} <= {*completed(project, "./deploy.sh --", 1)}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_scripts_for_other_shells_call_the_program_as_it_was_typed(project: Path, shell: str) -> None:
    script = subprocess.run(
        ["./deploy.sh", "--completion", shell], cwd=project, capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert f"{shell}_complete deploy.sh" not in script
    assert "commands[deploy.sh]" not in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True, timeout=60)
