"""``setup.sh``: create ``.venv``, and start the account wizard. Needs only the standard library."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from chutes_wrappers.cli.setup import virtual_environment as environment
from chutes_wrappers.cli.setup.virtual_environment import print_line


def run() -> int:
    """Run ``main``, with a message after an interrupt; ``setup.sh`` calls this."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return main()
    except KeyboardInterrupt:
        print_line("interrupted; run ./setup.sh again to continue")
        return 130


def main(arguments: list[str] | None = None) -> int:
    """Set up the environment, and return the exit code. Idempotent: a current environment is kept."""
    options = _parse_arguments(arguments)
    requirements = environment.ROOT / ("requirements-dev.txt" if options.dev else "requirements.txt")
    stamp_path = environment.COMPLETE_DEV if options.dev else environment.COMPLETE
    fault = environment.find_fault(is_python_chosen=bool(options.python))
    if fault is None and environment.is_current(stamp_path, dev=options.dev):
        environment.complete_stamp()
        print_line(f"✓ the environment is ready: {environment.VENV.name} (Python {environment.get_python_version()})")
    elif not environment.make_environment(requirements, fault):
        return 1
    else:
        environment.write_stamps(environment.COMPLETE, stamp_path)
        print_line(f"✓ installed into {environment.VENV.name}: {requirements.name}")
    if options.account or (_is_at_terminal() and not (options.dev or options.yes or options.no_account)):
        _exec_wizard(options.account_arguments)
    if not options.dev and not options.no_account:
        _print_next_steps()
    return 0


def _is_at_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _exec_wizard(arguments: list[str]) -> None:
    """Replace this process by the wizard, which needs the installed packages; one process less that gets a Ctrl-C."""
    script = environment.ROOT / "chutes_wrappers" / "start.py"
    argv = [str(environment.PYTHON), str(script), "chutes_wrappers.cli.setup.wizard:main", *arguments]
    os.execv(argv[0], argv)


def _print_next_steps() -> None:
    account = Path(os.environ.get("CHUTES_CONFIG_PATH") or Path.home() / ".chutes" / "config.ini")
    if account.exists():
        print_line(f"✓ an account is in {account}")
    else:
        print_line("· no Chutes account yet; only the platform needs one: ./setup.sh --account")
    print_line("Next: run ./deploy.sh for a menu, or ./deploy.sh --doctor if something fails")


def _is_usable() -> bool:
    is_current = environment.is_current(environment.COMPLETE, dev=False)
    return is_current and environment.find_fault(is_python_chosen=False) is None


def _parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="setup.sh",
        description="Create .venv and install the dependencies; at a terminal, also set up the Chutes account.",
        epilog="Flags that replace the questions of --account: --fingerprint, --register USERNAME, --link, --config FILE, "
        "--from-env. --wallet NAME/HOTKEY selects the hotkey of the first three. --key also creates an API key that may call "
        "chutes and nothing else; --json prints the result. ./setup.sh --account --help describes them.",
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--yes", action="store_true", help="ask no questions; with flags of the account, replace an existing key"
    )
    parser.add_argument(
        "--python", metavar="X", help="use this Python, 3.10 to 3.13; creates .venv again for another version"
    )
    parser.add_argument("--dev", action="store_true", help="also install the dependencies of the tests")
    account = parser.add_mutually_exclusive_group()
    account.add_argument("--no-account", action="store_true", help="only set up the environment")
    account.add_argument("--account", action="store_true", help="also set up the account, even without a terminal")
    parser.add_argument("-h", "--help", action="store_true", help="show this help")
    options, account_arguments = parser.parse_known_args(arguments)
    if options.help:
        if not options.account or not _is_usable():
            parser.print_help()
            parser.exit()
        account_arguments.append("--help")
    if account_arguments and not options.account:
        # Without values, which may be secrets.
        flags = [each.partition("=")[0] for each in account_arguments if each.startswith("-")]
        parser.error(f"unrecognized arguments: {' '.join(flags) or 'a value'} (flags of the account need --account)")
    if options.yes and options.account and not account_arguments:
        parser.error("--yes asks no questions, so --account needs its answers as flags: --account --help lists them")
    options.account_arguments = [*account_arguments, *(["--yes"] if options.yes and account_arguments else [])]
    return options
