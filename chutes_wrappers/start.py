"""Call a function with nothing imported from the current folder: ``python start.py MODULE:FUNCTION [ARGUMENT…]``.

``python -m`` and ``python -c`` put the current folder first on ``sys.path``, and Python 3.10 has no switch against that which
leaves PYTHONPATH in force. Every Python that this project starts on a user's machine is started by this file.
"""

# No other import, not even of __future__, before prepare() has corrected the path: Python has loaded these two itself.
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
# A script's own folder, or the project's: Python or PYTHONPATH may have put them on sys.path, and users keep files there.
_NEVER_SEARCHED = (_ROOT, os.path.join(_ROOT, "chutes_wrappers"), os.path.join(_ROOT, "tools"))
# What a person starts: Ctrl-C while it loads ends it without a traceback. cli/output.py catches it from then on.
_AT_A_TERMINAL = ("chutes_wrappers.cli.", "chutes_wrappers.emulator.__main__", "tools.")


def run(target: str) -> "NoReturn":
    """Call ``MODULE:FUNCTION`` without arguments, and end with what it returns; ``sys.argv`` is its command line."""
    prepare()
    module, _, function = target.partition(":")
    if module.startswith(_AT_A_TERMINAL):
        _end_silently_on_interrupt()
    sys.exit(_imported(module, function)())


def prepare() -> None:
    """Correct ``sys.path`` and PYTHONPATH, and load our packages, which are found by that and need no place on the path.

    Entries of PYTHONPATH that are empty or relative mean the current folder or one below it, and are removed.
    """
    removed = {*_NEVER_SEARCHED, *_places_from_the_current_folder()}
    sys.path[:] = [entry for entry in sys.path if os.path.isabs(entry) and os.path.realpath(entry) not in removed]
    sys.path.insert(0, _ROOT)
    import chutes_wrappers  # noqa: F401
    import tools  # noqa: F401

    del sys.path[0]


def _places_from_the_current_folder() -> "list[str]":
    """What PYTHONPATH has of them, which it loses."""
    value = os.environ.get("PYTHONPATH")
    entries = value.split(os.pathsep) if value else []
    absolute = [entry for entry in entries if os.path.isabs(entry)]
    if absolute == entries:
        return []
    os.environ["PYTHONPATH"] = os.pathsep.join(absolute)
    try:
        return [os.path.realpath(entry) for entry in entries if entry not in absolute]
    except OSError:  # the current folder was deleted, so that nothing can be imported from it
        return []


def _end_silently_on_interrupt() -> None:
    import signal

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _imported(module: str, function: str) -> "Callable[[], int | None]":
    from importlib import import_module

    try:
        called: Callable[[], int | None] = getattr(import_module(module), function)
        return called
    except ModuleNotFoundError as missing:
        if str(missing.name).partition(".")[0] in ("chutes_wrappers", "tools"):
            raise
        from shlex import quote

        environment, setup = quote(os.path.join(_ROOT, ".venv")), quote(os.path.join(_ROOT, "setup.sh"))
        sys.exit(
            f"✗ {sys.prefix}: the package {missing.name} is missing\n  Next: rm -r {environment}, then run {setup}"
        )


if __name__ == "__main__":
    _, _target, *_arguments = sys.argv
    sys.argv = [_target.partition(".")[0], *_arguments]
    run(_target)
elif __name__ == "__mp_main__":  # a worker that multiprocessing starts for a user's module
    prepare()
