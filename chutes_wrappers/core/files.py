"""Files: written atomically, complete or not changed at all, and read with a limit."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from chutes_wrappers.core.errors import WrapperError

_MAX_SMALL_BYTES = 1024**2


def read_regular_file(path: Path, *, max_bytes: int) -> bytes:
    """Return the content of a file that may be anybody's. Reading a pipe could block forever, and a device never ends.

    Raises OSError, and ValueError with the reason for another kind of file or a larger one.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is not a regular file")
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"it is larger than {max_bytes // 1024**2} MiB")
    return content


def read_small_file(path: Path) -> bytes:
    """Return the content of a file of settings. Raises OSError, also for another kind of file or more than 1 MiB.

    ``/dev/null`` is an empty file: some users set it to have no settings.
    """
    if path == Path(os.devnull):
        return b""
    try:
        return read_regular_file(path, max_bytes=_MAX_SMALL_BYTES)
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), str(path)) from None


@contextlib.contextmanager
def open_atomically(path: Path, *, mode: int | None = None) -> Iterator[BinaryIO]:
    """Open a file that replaces ``path`` when the block succeeds; otherwise the old file is unchanged.

    The file gets the permissions ``mode``, or those that the umask allows. Raises OSError.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        os.chmod(temporary, 0o666 & ~_read_umask() if mode is None else mode)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):  # after a success it does not exist any more
            os.unlink(temporary)


def write_atomically(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace ``path`` with ``text`` and these permissions, complete on disk.

    If it fails, the old file is unchanged, and WrapperError has the reason.
    """
    try:
        with open_atomically(path, mode=mode) as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise WrapperError(
            f"cannot be written ({error.strerror}); the previous file is unchanged",
            where=str(path),
            next_step="free some space or choose another path, then run the command again",
        ) from error


def _read_umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
