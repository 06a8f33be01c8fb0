"""A text that attacks a terminal, and a terminal that finds out whether it succeeded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.fork_server import DEPLOY
from tests.scenario import make_environment
from tests.terminal import Terminal

FORGED = "✓ deployed by the service"
# Title, clipboard, clear, conceal, C1, device control, bidirectional override, zero width, carriage return, a second line, markup.
ATTACK = f"<\x1b]0;title\x07\x1b]52;c;cm0gLXJm\x07\x1b[2J\x1b[8m\x9b3J\x90q\x9c\u202egnp\u2066\u200bz\x08\r\n{FORGED}\n[red]:key:>"
# What rich and readline write themselves: colours without conceal, cursor, deletion of a line, the paste mode.
_OURS = re.compile(r"\x1b\[(?!8m)[0-9;]*m|\x1b\[\?(?:25|2004)[hl]|\x1b\[[0-9]*[ABGK]")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]")


def show(
    arguments: Sequence[str],
    *,
    folder: Path,
    target: str = DEPLOY,
    typed: Sequence[tuple[str, str]] = (),
    variables: Mapping[str, str] | None = None,
    is_one_line: bool = True,
) -> str:
    """Run a command on a terminal with colours; return what is visible, after the checks that nothing controls it.

    ``typed`` are replies, each after the question that its regular expression matches.
    """
    environment = {name: value for name, value in make_environment().items() if name != "NO_COLOR"}
    nowhere = {"DOCKER_HOST": f"unix://{folder}/nowhere.sock", "HOME": str(folder), "TERM": "xterm-256color"}
    terminal = Terminal(
        arguments,
        target=target,
        folder=folder,
        variables={**environment, **nowhere, **(variables or {})},
        dimensions=(50, 400),
    )
    screen = ""
    for question, reply in typed:
        terminal.expect(question)
        screen += f"{terminal.before}{terminal.after}"
        terminal.sendline(reply)
    screen += str(terminal.read())
    terminal.close()
    visible = _OURS.sub("", re.sub("\r+\n", "\n", screen)).replace("\r", "")
    assert not _CONTROLS.search(visible), repr(screen)
    if is_one_line:
        assert not [line for line in visible.splitlines() if line.startswith("✓ deployed")], visible
    return visible
