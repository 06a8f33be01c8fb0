"""Atomic files: complete, or not changed at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from chutes_wrappers.core.errors import ConfigurationError


@contextlib.contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """Open a file that replaces ``path`` when the block succeeds; otherwise the old file stays.

    Raises ConfigurationError when it cannot be written, if possible before the block begins.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        descriptor, temporary_path = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    except OSError as error:
        raise _build_write_error(path, error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        os.chmod(temporary_path, 0o666 & ~_read_umask())  # mkstemp makes it readable by its owner alone
        os.replace(temporary_path, path)
    except OSError as error:
        raise _build_write_error(path, error) from error
    finally:
        Path(temporary_path).unlink(missing_ok=True)


def _build_write_error(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"the file cannot be written ({error.strerror or error})", where=str(path), next_step="use another file"
    )


def _read_umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
