"""Lookup of deploy modules: the files in a folder, and the file that a name means. Nothing is read or run here."""

from __future__ import annotations

import difflib
import os
import shlex
import stat
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from chutes_wrappers.core import platform_rules, program
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.overruled_rules import refuse
from chutes_wrappers.host.modules.templates import TEMPLATES

# The checkout, whose modules can be named from any folder. None when installed: then --template copies its templates.
PROJECT_ROOT = None if program.IS_INSTALLED else program.PROJECT_FILES
_OUR_PACKAGES = ("chutes_wrappers", "tools")
_PREFIX = "deploy_"
_COPY_TEMPLATE_STEP = f"begin with a copy of the template: {program.NAMES.deploy} --template deploy_example"


def resolve_module(text: str) -> Path:
    """Return the file that a module name on the command line means: a path, with or without ``.py``.

    It is relative to the current folder, then to the checkout. Raises ConfigurationError with the most similar names.
    """
    candidate = Path(text if text.endswith(".py") else f"{text}.py")
    for base in _list_search_folders(Path.cwd()):
        path = _find_file(base / candidate)
        if path is not None:
            _check_file_name(path)
            return path
    raise ConfigurationError(f"deploy module {text!r} not found", next_step=_suggest_next_step(candidate))


def format_module(path: Path) -> str:
    """Return what names the module at ``path`` on a command line in the current folder: the inverse of ``resolve_module``."""
    folders = _list_search_folders(Path.cwd())
    for folder in filter(path.is_relative_to, folders):
        file = path.relative_to(folder)
        if next(each for each in folders if each == folder or (each / file).is_file()) == folder:
            return shlex.quote(str(file.with_suffix("")))
    return shlex.quote(str(path.with_suffix("")))


def _list_search_folders(folder: Path) -> list[Path]:
    """Return the folders to search for modules, ``folder`` first."""
    return list(dict.fromkeys(filter(None, (folder, PROJECT_ROOT))))


def _find_file(path: Path) -> Path | None:
    try:
        resolved = path.resolve()
        return resolved if stat.S_ISREG(os.stat(resolved).st_mode) else None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RuntimeError) as error:  # name too long, permission denied, NUL byte, symlink loop
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(
            f"cannot read the deploy module ({reason})",
            where=repr(str(path))[1:101],
            next_step="name a file that you may read, such as deploy_example",
        ) from error


def _check_file_name(path: Path) -> None:
    if not platform_rules.MODULE_FILE.match(path.name):
        problem = ConfigurationError(
            f"the platform does not accept the module name {path.name!r}",
            where=str(path),
            next_step="rename it: a lower case letter, then lower case letters, digits or '_', then .py",
        )
        refuse("module-file", problem)
    if _is_name_taken(path):
        raise ConfigurationError(
            f"{path.stem!r} is already the name of a module of Python or of an installed package",
            where=str(path),
            next_step=f"rename it, for example to deploy_{path.name}",
        )


def _is_name_taken(path: Path) -> bool:
    """Whether another module has the name. The SDK would import this file instead of it (SDK entrypoint/_shared.py)."""
    if path.stem in sys.stdlib_module_names or path.stem in _OUR_PACKAGES:
        return True
    spec = PathFinder.find_spec(path.stem)
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve() != path


def list_module_files(folder: Path) -> list[Path]:
    """Return the deploy modules in ``folder``, sorted; those of the checkout if it has none."""
    candidates = (sorted(base.glob("deploy_*.py")) for base in _list_search_folders(folder))
    return next(filter(None, candidates), [])


def _suggest_next_step(candidate: Path) -> str:
    template = next((name for name in (candidate.stem, f"{_PREFIX}{candidate.stem}") if name in TEMPLATES), None)
    known = sorted(
        {path.stem for base in _list_search_folders(Path.cwd()) for path in base.glob("deploy_*.py") if path.is_file()}
    )
    stems = {stem.removeprefix(_PREFIX): stem for stem in known}  # the prefix makes any two names similar
    stem = candidate.stem.removeprefix(_PREFIX)
    if template is not None and stem not in stems:
        return f"copy it into the current folder: {program.NAMES.deploy} --template {template}"
    if matches := difflib.get_close_matches(stem, stems, n=1, cutoff=0.5):
        return f"did you mean {stems[matches[0]]}?"
    return f"use one of: {', '.join(known)}" if known else _COPY_TEMPLATE_STEP
