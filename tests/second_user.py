"""A second user of this machine, who looks for what others left in the temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a command as another user")
NOBODY = "nobody"


@contextmanager
def shared_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Use a new temporary folder that every user can enter, as /tmp."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        folder.chmod(0o1777)
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        yield folder
    finally:
        shutil.rmtree(folder)


def find_readable_files(folder: Path, text: str) -> list[str]:
    """Return the files below ``folder`` that contain ``text`` and that the user nobody can read."""
    user = pwd.getpwnam(NOBODY)
    argv = ["grep", "-rlsF", text, str(folder)]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, user=user.pw_uid, group=user.pw_gid, extra_groups=[]
    )
    return done.stdout.splitlines()
