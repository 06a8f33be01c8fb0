"""Signals of a command, as an operator or a closed terminal sends them."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import click
import pytest

from chutes_wrappers.cli.verbs.verb import pop_common

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Restore the handlers of the tests' own process."""
    saved = [signal.getsignal(number) for number in SIGNALS]
    yield
    for number, handler in zip(SIGNALS, saved, strict=True):
        signal.signal(number, handler)


def pop() -> None:
    context = click.Context(click.Command("status"))
    context.params = {"yes": False, "quiet": False, "debug": False, "allow": ()}
    pop_common(context)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_interrupts_a_command_like_ctrl_c(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_DFL)
    pop()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


def test_a_command_under_nohup_outlives_its_terminal() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    pop()
    signal.raise_signal(signal.SIGHUP)
