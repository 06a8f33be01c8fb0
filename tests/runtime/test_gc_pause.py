"""The collector rests for as long as anybody wants it to, and works again afterwards, whatever happened."""

from __future__ import annotations

import contextlib
import gc

import pytest

from chutes_wrappers.runtime.gc_pause import PausedCollector


def test_it_works_again_when_the_last_one_has_left() -> None:
    paused = PausedCollector()
    with paused:
        with paused:
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_works_again_after_a_failure() -> None:
    with pytest.raises(ValueError, match="bad"), PausedCollector():
        raise ValueError("bad")
    assert gc.isenabled()


def test_one_that_was_off_stays_off() -> None:
    with contextlib.ExitStack() as stack:
        stack.callback(gc.enable)
        gc.disable()
        with PausedCollector():
            pass
        assert not gc.isenabled()
