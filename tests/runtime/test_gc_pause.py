"""The collector is disabled while a thread needs that, and enabled again afterwards in every case."""

from __future__ import annotations

import contextlib
import gc

import pytest

from chutes_wrappers.runtime.gc_pause import GCPause


def test_it_is_enabled_again_when_the_last_thread_has_left() -> None:
    paused = GCPause()
    with paused:
        with paused:
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_is_enabled_again_after_a_failure() -> None:
    with pytest.raises(ValueError, match="bad"), GCPause():
        raise ValueError("bad")
    assert gc.isenabled()


def test_a_disabled_collector_stays_disabled() -> None:
    with contextlib.ExitStack() as stack:
        stack.callback(gc.enable)
        gc.disable()
        with GCPause():
            pass
        assert not gc.isenabled()
