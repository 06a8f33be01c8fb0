"""Module templates, and copying one into a folder together with the service that it wraps."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from chutes_wrappers.core import program
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.program import replace_command_names

# Each module and the folder of its service, with their paths in a checkout.
TEMPLATES = {
    "deploy_example": ("deploy_example.py", "examples/morse"),
    "deploy_completions": ("examples/deploy_completions.py", "examples/completions"),
    "deploy_gradio_app": ("examples/deploy_gradio_app.py", "examples/gradio"),
    "deploy_search": ("examples/deploy_search.py", "examples/search"),
    "deploy_thumbnail": ("examples/deploy_thumbnail.py", "examples/thumbnail"),
}
_CHECKOUT_PYTHON = "../.venv/bin/python"  # in a module of examples/


def copy_template(name: str, folder: Path) -> list[Path]:
    """Copy the template ``name`` into ``folder``, with the paths of a checkout. Return its files, the module first.

    No file is overwritten: an existing file with the same content stays. Any other existing file is a ConfigurationError
    before anything is written, and so is a folder that is not writable. Command names in the files are those in use here.
    """
    contents = {folder / path: content for path, content in _read_files(name)}
    for target, content in contents.items():
        if os.path.lexists(target):
            _check_same(target, content)
    for parent in {target.parent: None for target in contents}:
        _make_folder(parent)
    for target, content in contents.items():
        _write(target, content)
    return list(contents)


def _read_files(name: str) -> Iterator[tuple[str, bytes]]:
    if name not in TEMPLATES:
        raise ConfigurationError(f"unknown template {name!r}", next_step=f"use one of: {', '.join(TEMPLATES)}")
    for source in TEMPLATES[name]:
        source_path = program.PROJECT_FILES / source
        files = (
            [source_path]
            if source_path.is_file()
            else sorted(path for path in source_path.rglob("*") if _is_source(path))
        )
        for path in files:
            yield str(path.relative_to(program.PROJECT_FILES)), _read_content(path)


def _is_source(path: Path) -> bool:
    return path.is_file() and path.parent.name != "__pycache__"


def _read_content(path: Path) -> bytes:
    content = path.read_bytes()
    if program.IS_INSTALLED and path.suffix in (".py", ".md"):
        text = replace_command_names(content.decode())
        return text.replace(_CHECKOUT_PYTHON, shlex.quote(sys.executable)).encode()
    return content


def _check_same(target: Path, content: bytes) -> None:
    if not _has_content(target, content):
        raise ConfigurationError(
            "already exists, with other content",
            where=str(target),
            next_step="move it away, or change to another folder: nothing is overwritten",
        )


def _has_content(target: Path, content: bytes) -> bool:
    try:
        return target.is_file() and target.read_bytes() == content  # reading a pipe could block forever
    except OSError:
        return False


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _make_error(folder, error) from error


def _write(target: Path, content: bytes) -> None:
    try:
        file = target.open("xb")
    except FileExistsError:
        return _check_same(target, content)
    except OSError as error:
        raise _make_error(target, error) from error
    try:
        with file:
            file.write(content)
    except OSError as error:
        target.unlink(missing_ok=True)  # a partial file would block the next copy
        raise _make_error(target, error) from error


def _make_error(target: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"cannot be written ({error.strerror})", where=str(target), next_step="change to a folder that you can write to"
    )
