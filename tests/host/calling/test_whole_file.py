"""Atomic files of responses."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.calling.whole_file import open_atomically


def test_the_old_file_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    file.write_bytes(b"old")
    with pytest.raises(KeyError), open_atomically(file) as writing:
        writing.write(dict[str, bytes]()["broken off"])
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]
    with open_atomically(file) as writing:
        writing.write(b"new")
        assert file.read_bytes() == b"old"
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"new"]
    assert stat.S_IMODE(file.stat().st_mode) & 0o044


@pytest.mark.parametrize("name", ["missing/a.wav", ".", "a" * 300])
def test_an_unwritable_path_is_named_before_the_call(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError), open_atomically(tmp_path / name):
        raise AssertionError("it was taken")
