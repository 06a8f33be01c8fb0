"""A program on a separate terminal, through the fork server."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pexpect
from pexpect.fdpexpect import fdspawn

from tests.fork_server import DEPLOY, TIMEOUT_S, get_fork_server
from tests.scenario import ROOT

if TYPE_CHECKING:
    _Spawn = fdspawn[str]  # generic only in its type stubs
else:
    _Spawn = fdspawn

_BEFORE_TYPING_S = 0.05
_RETRY_S = 5.0
_INTERRUPT, _END_OF_INPUT = "\x03", "\x04"


def interrupt(child: Any) -> None:
    """Press Ctrl-C until the program ends: Python loses one that arrives while readline starts to read a line."""
    for _ in range(int(TIMEOUT_S / _RETRY_S)):
        child.send(_INTERRUPT)
        if child.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=_RETRY_S) == 0:
            return
    raise AssertionError(child.before)


class Terminal(_Spawn):
    """An equivalent of ``pexpect.spawn`` for the fork server; ``close`` sets ``exitstatus``."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        variables: Mapping[str, str],
        target: str = DEPLOY,
        folder: Path = ROOT,
        dimensions: tuple[int, int] = (24, 80),
    ) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *dimensions, 0, 0))
        try:
            self.process = get_fork_server().start(
                target, arguments, folder=folder, variables=variables, streams=[theirs] * 3, has_terminal=True
            )
        finally:
            os.close(theirs)
        self.exitstatus: int | None = None
        super().__init__(ours, timeout=TIMEOUT_S, encoding="utf-8")

    def send(self, s: str | bytes) -> int:
        """Type a text, with a short delay after the question, as ``pexpect.spawn`` and users do."""
        time.sleep(_BEFORE_TYPING_S)
        return int(super().send(s))

    def sendcontrol(self, letter: str) -> None:
        """Press Ctrl and a letter."""
        self.send(chr(ord(letter.upper()) - ord("A") + 1))

    def sendintr(self) -> None:
        """Press Ctrl-C."""
        self.send(_INTERRUPT)

    def sendeof(self) -> None:
        """Press Ctrl-D, which ends the input of a program that reads lines."""
        self.send(_END_OF_INPUT)

    def getwinsize(self) -> tuple[int, int]:
        """Return rows and columns."""
        rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(self.child_fd, termios.TIOCGWINSZ, bytes(8)))
        return rows, columns

    def close(self, force: bool = False) -> None:
        """Wait for the program's end and close the terminal; with ``force`` kill it."""
        if self.exitstatus is not None:
            return
        if force:
            self.process.kill()
        self.exitstatus = self.process.wait()
        super().close()
