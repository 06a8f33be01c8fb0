from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.files import open_atomically, read_regular_file, read_small_file, write_atomically


@pytest.fixture
def umask() -> Iterator[None]:
    previous = os.umask(0o027)
    yield
    os.umask(previous)


def test_what_is_not_a_regular_file_of_limited_size_is_not_read(tmp_path: Path) -> None:
    file, pipe, device = tmp_path / "file", tmp_path / "pipe", tmp_path / "device"
    file.write_bytes(b"x" * 1024**2)
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    assert read_regular_file(file, max_bytes=1024**2) == b"x" * 1024**2
    with file.open("ab") as opened:
        opened.truncate(2**40)
    with pytest.raises(ValueError, match="it is larger than 1 MiB"):
        read_regular_file(file, max_bytes=1024**2)
    for path in (pipe, device, tmp_path):
        with pytest.raises(ValueError, match="it is not a regular file"):
            read_regular_file(path, max_bytes=1024**2)


def test_every_failure_to_read_settings_is_an_os_error(tmp_path: Path) -> None:
    file, pipe = tmp_path / "file", tmp_path / "pipe"
    file.write_bytes(b"x" * 1024**2)
    os.mkfifo(pipe)
    assert read_small_file(file) == b"x" * 1024**2
    assert read_small_file(Path("/dev/null")) == b""
    with file.open("ab") as opened:
        opened.truncate(2**40)
    for path in (file, pipe, Path("/dev/zero"), tmp_path, tmp_path / "missing"):
        with pytest.raises(OSError, match=r"."):
            read_small_file(path)


def test_the_old_file_is_unchanged_until_the_new_one_is_complete(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    file.write_bytes(b"old")
    with pytest.raises(KeyError), open_atomically(file) as new_file:
        new_file.write(dict[str, bytes]()["missing"])
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]
    with open_atomically(file) as new_file:
        new_file.write(b"new")
        assert file.read_bytes() == b"old"
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"new"]


@pytest.mark.parametrize(("mode", "expected"), [(None, 0o640), (0o600, 0o600), (0o644, 0o644)])
def test_a_file_has_the_given_permissions_or_those_of_the_umask(
    tmp_path: Path, umask: None, mode: int | None, expected: int
) -> None:
    file = tmp_path / "a"
    with open_atomically(file, mode=mode) as new_file:
        assert stat.S_IMODE(os.fstat(new_file.fileno()).st_mode) == 0o600
    assert stat.S_IMODE(file.stat().st_mode) == expected


@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_a_written_text_has_its_permissions_whatever_umask_and_old_file(tmp_path: Path, umask: None, mode: int) -> None:
    file = tmp_path / "a.json"
    file.touch(mode=0o666)
    write_atomically(file, "é", mode=mode)
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == ("é".encode(), mode)


def test_a_link_is_replaced_and_its_target_is_unchanged(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_atomically(link, "new")
    assert (target.read_text(), link.read_text(), link.is_symlink()) == ("old", "new", False)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a"
    file.write_text("old")

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WrapperError, match="No space left") as caught:
        write_atomically(file, "new")
    assert (caught.value.exit_code, caught.value.where) == (1, str(file))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
