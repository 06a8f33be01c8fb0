"""What a shell completes: flags by click, modules and files by us."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

PROGRAM = "deploy.sh"
VARIABLE = "_DEPLOY_SH_COMPLETE"


class Modules(click.ParamType[str]):
    """The name of a deploy module: those of the current folder are proposed."""

    name = "module"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> str:
        """As it was typed; the command that gets it says what is wrong with it."""
        return str(value)

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The modules whose names begin with ``incomplete``."""
        from click.shell_completion import CompletionItem

        names = sorted(path.stem for path in Path.cwd().glob("deploy_*.py"))
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class Files(Modules):
    """A file's name: the shell proposes those that there are."""

    name = "file"

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Left to the shell."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


# click's scripts call the program by its name on PATH, where deploy.sh is not: it is called as it was typed.
_AS_TYPED = {
    "bash": (),
    "zsh": (
        ("(( ! $+commands[deploy.sh] )) && return 1", ""),
        ("zsh_complete deploy.sh", 'zsh_complete "${words[1]}"'),
    ),
    "fish": (("(commandline -t) deploy.sh", "(commandline -t) (commandline -opc)[1]"),),
}


def script(shell: str, command: click.Command) -> str:
    """What ``shell`` ("bash", "zsh" or "fish") has to read to complete ``deploy.sh``, wherever that lies."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    text = kind(command, {}, PROGRAM, VARIABLE).source()
    for theirs, ours in _AS_TYPED[shell]:
        assert theirs in text, f"click has another script for {shell}"
        text = text.replace(theirs, ours)
    return text
