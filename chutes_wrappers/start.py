"""Call a function with nothing imported from the current folder: ``python start.py MODULE:FUNCTION [ARGUMENT…]``.

The commands of an installed package are functions here.

``python -m`` and ``python -c`` put the current folder first on ``sys.path``, and Python 3.10 has no option against that
which keeps PYTHONPATH. Every Python that this project starts on a user's machine is started by this file.
"""

# No other import, not even of __future__, before prepare() has corrected the path: Python has loaded these two itself.
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_PACKAGE = os.path.dirname(os.path.realpath(__file__))
_ROOT = os.path.dirname(_PACKAGE)
_IS_INSTALLED = os.path.isdir(os.path.join(_PACKAGE, "project"))  # as in core/program.py
# A script's own folder, or the project's: Python or PYTHONPATH may have put them on sys.path, and users keep files there.
# In an installation, the package's parent folder contains all packages, and stays.
_EXCLUDED_PATHS = (_PACKAGE,) if _IS_INSTALLED else (_ROOT, _PACKAGE, os.path.join(_ROOT, "tools"))
# Programs that a user starts: Ctrl-C during loading ends them without a traceback. cli/output.py handles it later.
_INTERACTIVE_MODULES = ("chutes_wrappers.cli.", "chutes_wrappers.emulator.__main__")


def deploy() -> "NoReturn":
    """Run ``chutes-wrappers``."""
    _run_script("chutes_wrappers.cli.main:main")


def account() -> "NoReturn":
    """Run ``chutes-wrappers-account``."""
    _run_script("chutes_wrappers.cli.setup.wizard:main")


def discover() -> "NoReturn":
    """Run ``chutes-wrappers-discover``."""
    _run_script("chutes_wrappers.cli.discover_routes:main")


def emulator() -> "NoReturn":
    """Run ``chutes-wrappers-emulator``."""
    _run_script("chutes_wrappers.emulator.__main__:main")


def _run_script(target: str) -> "NoReturn":
    """Call ``run`` for a script. Python has put its folder first on the path; it contains other scripts, not modules."""
    folder = os.path.dirname(os.path.realpath(sys.argv[0]))
    sys.path[:] = [entry for entry in sys.path if not os.path.isabs(entry) or os.path.realpath(entry) != folder]
    run(target)


def run(target: str) -> "NoReturn":
    """Call ``MODULE:FUNCTION`` without arguments, and exit with its result; ``sys.argv`` is its command line."""
    prepare()
    module, _, function = target.partition(":")
    if module.startswith(_INTERACTIVE_MODULES):
        _end_silently_on_interrupt()
        _import_function("chutes_wrappers.core.terminal_stream", "guard_streams")()
    sys.exit(_import_function(module, function)())


def prepare() -> None:
    """Correct ``sys.path`` and PYTHONPATH, and load our packages, which are then found without an entry on the path.

    Empty and relative entries of PYTHONPATH refer to the current folder or one below it, and are removed.
    """
    removed = {*_EXCLUDED_PATHS, *_remove_relative_entries()}
    sys.path[:] = [entry for entry in sys.path if os.path.isabs(entry) and os.path.realpath(entry) not in removed]
    if _IS_INSTALLED:  # on the path already; this finds tools.chute_wrappers if the .pth file has not run
        import _chutes_wrappers_tools

        import chutes_wrappers  # what it sets must be set before other packages are imported

        _chutes_wrappers_tools.install()
        return
    sys.path.insert(0, _ROOT)
    import chutes_wrappers  # noqa: F401
    import tools  # noqa: F401

    del sys.path[0]


def _remove_relative_entries() -> "list[str]":
    """Remove empty and relative entries from PYTHONPATH, and return their absolute paths."""
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


def _import_function(module: str, function: str) -> "Callable[[], int | None]":
    from importlib import import_module

    try:
        entry_point: Callable[[], int | None] = getattr(import_module(module), function)
        return entry_point
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] in ("chutes_wrappers", "tools"):
            raise
        sys.exit(f"✗ {sys.prefix}: the package {error.name} is missing\n  Next: {_find_repair_step()}")


def _find_repair_step() -> str:
    if _IS_INSTALLED:
        from chutes_wrappers.core.program import INSTALLED

        return INSTALLED.reinstall
    from shlex import quote

    environment, setup = quote(os.path.join(_ROOT, ".venv")), quote(os.path.join(_ROOT, "setup.sh"))
    return f"rm -r {environment}, then run {setup}"


if __name__ == "__main__":
    _, _target, *_arguments = sys.argv
    sys.argv = [_target.partition(".")[0], *_arguments]
    run(_target)
elif __name__ == "__mp_main__":  # a worker that multiprocessing starts for a user's module
    prepare()
