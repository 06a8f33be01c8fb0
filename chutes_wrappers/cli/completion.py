"""What a shell completes: flags by click, modules and files by us."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chutes_wrappers.core import platform_rules

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

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
        """The modules whose names begin with ``incomplete``; of another folder whatever the shell proposes."""
        from click.shell_completion import CompletionItem

        if "/" in incomplete:
            return [CompletionItem(incomplete, type="file")]
        # Other names could not be deployed, and a shell would take some of them for a command.
        files = (path for path in Path.cwd().glob("deploy_*.py") if platform_rules.MODULE_FILE.match(path.name))
        names = sorted(path.stem for path in files)
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


# click's scripts run whatever is called deploy.sh where somebody presses Tab. Ours run this project's only, and only where the
# word that was typed means that. Each pair: what click writes, and what stands there instead.
_THIS_ONE_ALONE = {
    "bash": (
        (
            "    local response\n",
            '    local response typed=${{1/#\\~\\//$HOME/}}\n    [[ "$(type -P -- "$typed")" -ef {program} ]] || return 0\n',
        ),
        ("_complete $1)", "_complete {program})"),
    ),
    "zsh": (
        (
            "    (( ! $+commands[deploy.sh] )) && return 1\n",
            "    local typed=${{~words[1]}}\n    [[ ${{typed:c}} -ef {program} ]] || return 1\n",
        ),
        ("_complete deploy.sh)", "_complete {program})"),
    ),
    "fish": (
        (
            "    set -l response (",
            "    set -l typed (command -s -- (string replace -r '^~/' \"$HOME/\" -- (commandline -opc)[1]));\n"
            '    test -n "$typed"; and test (builtin realpath -- $typed) = {program}; or return 1;\n'
            "    set -l response (",
        ),
        ("(commandline -t) deploy.sh)", "(commandline -t) {program})"),
    ),
}


def script(shell: str, command: click.Command, program: Path) -> str:
    """What ``shell`` ("bash", "zsh" or "fish") has to read to complete the ``deploy.sh`` at ``program``, and no other."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    text = kind(command, {}, program.name, VARIABLE).source()
    quoted = shlex.quote(str(program.resolve()))
    for theirs, ours in _THIS_ONE_ALONE[shell]:
        assert theirs in text, f"click has another script for {shell}"
        text = text.replace(theirs, ours.format(program=quoted))
    return text
