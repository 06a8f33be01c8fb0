"""An answer's file: whole, or not there."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.calling.whole_file import written_whole


def test_what_was_there_stays_until_all_of_it_is_there(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    file.write_bytes(b"old")
    with pytest.raises(KeyError), written_whole(file) as writing:
        writing.write(dict[str, bytes]()["broken off"])
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]
    with written_whole(file) as writing:
        writing.write(b"new")
        assert file.read_bytes() == b"old"
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"new"]
    assert stat.S_IMODE(file.stat().st_mode) & 0o044


@pytest.mark.parametrize("name", ["missing/a.wav", ".", "a" * 300])
def test_a_place_that_cannot_be_written_to_is_named_before_anything_is_asked(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError), written_whole(tmp_path / name):
        raise AssertionError("it was taken")
