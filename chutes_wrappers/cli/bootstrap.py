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
    is_replaced = bool(options.python) and _is_of_another_python()
    if not is_replaced and _is_current(stamp, options.dev):
        _say(f"✓ the environment is ready: {VENV.name} (Python {_version(VENV / 'bin/python')})")
    elif not _made(requirements, is_replaced=is_replaced):
        return 1
    else:
        for path in (COMPLETE, stamp):
            path.write_text("", encoding="utf-8")
        _say(f"✓ installed into {VENV.name}: {requirements.name}")
    if options.account or (_is_at_terminal() and not (options.dev or options.yes or options.no_account)):
        _hand_over_to_the_wizard(options.answers)
    if not options.dev and not options.no_account:
        _say_next()
    return 0


def _is_at_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _made(requirements: Path, *, is_replaced: bool) -> bool:
    """Whether the environment is made; one that it replaces is put back when it is not."""
    if problem := _missing_parts(is_new=is_replaced or not COMPLETE.exists()):
        _say(problem)
        return False
    if not is_replaced:
        return _install(requirements)
    _say(f"{VENV.name} has Python {_version(VENV / 'bin/python')}: it is made anew")
    aside = VENV.with_name(f"{VENV.name}.replaced")
    shutil.rmtree(aside, ignore_errors=True)
    VENV.rename(aside)
    is_made = False
    try:
        is_made = _install(requirements)
    finally:
        if not is_made:
            shutil.rmtree(VENV, ignore_errors=True)
            aside.rename(VENV)
            _say(f"the {VENV.name} that was there is there again")
    if is_made and aside.is_symlink():
        aside.unlink()
    elif is_made:
        shutil.rmtree(aside)
    return is_made


def _hand_over_to_the_wizard(answers: list[str]) -> None:
    """Become the part that needs what was installed: a process less that a Ctrl-C would reach."""
    argv = [str(VENV / "bin" / "python"), "-m", "chutes_wrappers.cli.wizard", *answers]
    os.execve(argv[0], argv, {**os.environ, "PYTHONPATH": str(ROOT)})


def _say_next() -> None:
    account = Path(os.environ.get("CHUTES_CONFIG_PATH") or Path.home() / ".chutes" / "config.ini")
    if account.exists():
        _say(f"✓ an account is in {account}")
    else:
        _say("· no Chutes account yet, which only the platform needs: ./setup.sh --account")
    _say("Next: ./deploy.sh for a menu, ./deploy.sh --doctor when something is wrong")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="setup.sh",
        description="Make .venv and install what the toolkit needs; at a terminal, also set the Chutes account up.",
        epilog="What --account takes instead of questions: --register USERNAME [--wallet NAME/HOTKEY|new], --link [--wallet "
        "NAME/HOTKEY], --config FILE, and --key for an API key; ./setup.sh --account --help says more.",
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    parser.add_argument(
        "--python", metavar="X", help="use this Python, 3.10 to 3.13; .venv is made anew for another one"
    )
    parser.add_argument("--dev", action="store_true", help="also install what the tests need")
    account = parser.add_mutually_exclusive_group()
    account.add_argument("--no-account", action="store_true", help="the environment only")
    account.add_argument("--account", action="store_true", help="the account, too, also without a terminal")
    parser.add_argument("-h", "--help", action="store_true", help="show this")
    options, answers = parser.parse_known_args(arguments)
    if options.help:
        if not options.account or not _is_current(COMPLETE, dev=False):
            parser.print_help()
            parser.exit()
        answers.append("--help")
    if answers and not options.account:
        parser.error(f"unrecognized arguments: {' '.join(answers)} (those of the account need --account)")
    if options.yes and options.account and not answers:
        parser.error("--yes asks nothing, so --account needs its answers as flags: --account --help lists them")
    options.answers = answers
    return options


def _is_of_another_python() -> bool:
    python = VENV / "bin" / "python"
    return python.exists() and _version(python).split(".")[:2] != [str(part) for part in sys.version_info[:2]]


def _is_current(stamp: Path, dev: bool) -> bool:
    files = [ROOT / "requirements.txt"] + ([ROOT / "requirements-dev.txt"] if dev else [])
    return stamp.exists() and all(stamp.stat().st_mtime > file.stat().st_mtime for file in files)


def _missing_parts(*, is_new: bool) -> str | None:
    """What the installation would fail for: the SDK's netifaces has no wheels, so it is compiled."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    missing = []
    if not any(shutil.which(compiler) for compiler in ("cc", "gcc", "clang")):
        missing.append(("a C compiler", "gcc libc6-dev"))
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        missing.append((f"the headers of Python {version}", f"python{version}-dev"))
    if not shutil.which("uv") and importlib.util.find_spec("ensurepip") is None and is_new:
        missing.append(("Python's venv module", f"python{version}-venv"))
    if not missing or not is_new:
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
