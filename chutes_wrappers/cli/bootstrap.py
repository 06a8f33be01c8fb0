"""Make ``.venv`` and install what the toolkit needs. Runs on a bare Python, before any dependency is there."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections import deque
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
COMPLETE = VENV / ".complete"
COMPLETE_DEV = VENV / ".complete-dev"
HEARTBEAT_S = 5.0


def main(arguments: list[str] | None = None) -> int:
    """Set the environment up; returns the exit code. Repeats safely: what is there and current stays."""
    options = _options(arguments)
    requirements = ROOT / ("requirements-dev.txt" if options.dev else "requirements.txt")
    stamp = COMPLETE_DEV if options.dev else COMPLETE
    if options.python and _is_of_another_python():
        _say(f"{VENV.name} has Python {_version(VENV / 'bin/python')}: it is made anew")
        shutil.rmtree(VENV)
    if _is_current(stamp, options.dev):
        _say(f"✓ the environment is ready: {VENV.name} (Python {_version(VENV / 'bin/python')})")
    else:
        problem = _missing_parts()
        if problem:
            _say(problem)
            return 1
        if not _install(requirements):
            return 1
        for path in (COMPLETE, stamp):
            path.write_text("", encoding="utf-8")
        _say(f"✓ installed into {VENV.name}: {requirements.name}")
    if options.account or (sys.stdin.isatty() and not (options.dev or options.yes or options.no_account)):
        return _account(options.answers)
    if not options.dev and not options.yes:
        _say("Next: ./deploy.sh for a menu, ./setup.sh --account for an account")
    return 0


def _account(answers: list[str]) -> int:
    """Hand over to the part that needs what was installed."""
    argv = [str(VENV / "bin" / "python"), "-m", "chutes_wrappers.cli.wizard", *answers]
    return subprocess.run(argv, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False).returncode


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="setup.sh", description="Make .venv and install what the toolkit needs.")
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    parser.add_argument(
        "--python", metavar="X", help="use this Python, 3.10 to 3.13; .venv is made anew for another one"
    )
    parser.add_argument("--dev", action="store_true", help="also install what the tests need")
    parser.add_argument("--no-account", action="store_true", help="the environment only")
    parser.add_argument("--account", action="store_true", help="the account, too; further flags answer its questions")
    options, answers = parser.parse_known_args(arguments)
    if answers and not options.account:
        parser.error(f"unrecognized arguments: {' '.join(answers)} (those of the account need --account)")
    options.answers = answers
    return options


def _is_of_another_python() -> bool:
    python = VENV / "bin" / "python"
    return python.exists() and _version(python).split(".")[:2] != [str(part) for part in sys.version_info[:2]]


def _is_current(stamp: Path, dev: bool) -> bool:
    files = [ROOT / "requirements.txt"] + ([ROOT / "requirements-dev.txt"] if dev else [])
    return stamp.exists() and all(stamp.stat().st_mtime > file.stat().st_mtime for file in files)


def _missing_parts() -> str | None:
    """What the installation would fail for: the SDK's netifaces has no wheels, so it is compiled."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    missing = []
    if not any(shutil.which(compiler) for compiler in ("cc", "gcc", "clang")):
        missing.append(("a C compiler", "gcc libc6-dev"))
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        missing.append((f"the headers of Python {version}", f"python{version}-dev"))
    if not shutil.which("uv") and importlib.util.find_spec("ensurepip") is None and not VENV.exists():
        missing.append(("Python's venv module", f"python{version}-venv"))
    if not missing or COMPLETE.exists():
        return None
    return (
        f"✗ missing: {', '.join(name for name, _ in missing)} (the SDK's netifaces is compiled during installation)\n"
        f"  Next: install them (Debian, Ubuntu: apt-get install {' '.join(package for _, package in missing)}; "
        "Fedora, RHEL: gcc and the -devel package of your Python), then run this again"
    )


def _install(requirements: Path) -> bool:
    uv = shutil.which("uv")
    python = VENV / "bin" / "python"
    if not python.exists():
        _say(f"Making {VENV.name} with Python {sys.version.split()[0]} ({'uv' if uv else 'venv'})")
        make = [uv, "venv", "--python", sys.executable, str(VENV)] if uv else [sys.executable, "-m", "venv", str(VENV)]
        if not _run(make):
            return False
    _say(f"Installing {requirements.name} (about 250 MB the first time)")
    if uv:
        return _run([uv, "pip", "install", "--python", str(python), "-r", str(requirements)])
    return _run([str(python), "-m", "pip", "install", "--disable-pip-version-check", "-r", str(requirements)])


def _run(argv: list[str]) -> bool:
    """Run a command; show its latest line, and on failure its last 30."""
    tail: deque[str] = deque(maxlen=30)
    started = spoken = time.monotonic()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip()
            tail.append(line)
            if time.monotonic() - spoken > HEARTBEAT_S:
                spoken = time.monotonic()
                _say(f"  {spoken - started:3.0f} s  {line.strip()[:100]}")
    if process.returncode == 0:
        return True
    for line in tail:
        _say(f"  | {line}")
    _say(f"✗ {os.path.basename(argv[0])} failed with exit code {process.returncode}")
    _say("  Next: correct what the lines above name, then run ./setup.sh again; it continues where it stopped")
    return False


def _version(python: Path) -> str:
    return (
        subprocess.run([str(python), "-V"], capture_output=True, text=True, check=False)
        .stdout.strip()
        .removeprefix("Python ")
    )


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        _say("interrupted; run ./setup.sh again to continue")
        sys.exit(130)
