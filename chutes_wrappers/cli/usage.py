"""The texts of ``--help``: all commands on one screen, and a screen for each group of them."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Iterable, Sequence

import click

from chutes_wrappers.cli.flags import COMMANDS, EVERYWHERE, GROUPS, MODIFIERS, Command, Group, Modifier, flag_of

_WIDEST = 110
_HELP = ("--help", "-h")
_MOST_NAMED = 4


def wants_help(arguments: Sequence[str]) -> bool:
    """Whether help was asked for."""
    return any(each in _HELP for each in arguments)


def help_text(arguments: Sequence[str]) -> str:
    """The help that ``arguments`` ask for: of the group or command behind ``--help`` or before it, else of everything.

    UsageError names the nearest topic to one that there is not.
    """
    at = next(index for index, each in enumerate(arguments) if each in _HELP)
    topic = next(iter(arguments[at + 1 :]), "")
    asked = topic.lstrip("-").replace("_", "-") if topic else _first_command(arguments)
    if not asked:
        return _overview()
    for group in GROUPS:
        if asked in (group.name, *(_name(command) for command in _of(group))):
            return _screen(group)
    known = [*(group.name for group in GROUPS), *map(_name, COMMANDS)]
    near = difflib.get_close_matches(asked, known, n=1)
    meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(group.name for group in GROUPS)}"
    raise click.UsageError(f"no help is called {topic!r}: {meant}")


def _first_command(arguments: Sequence[str]) -> str:
    names = {flag_of(str(command.name)) for command in COMMANDS}
    return next((each.partition("=")[0].lstrip("-") for each in arguments if each.partition("=")[0] in names), "")


def _name(command: Command) -> str:
    return str(command.name).replace("_", "-")


def _of(group: Group) -> list[Command]:
    return [command for command in COMMANDS if command.group == group.name]


def _modifiers(group: Group) -> list[Modifier]:
    names = {str(command.name) for command in _of(group)}
    return [modifier for modifier in MODIFIERS if names & {*modifier.to}]


def _formatter() -> click.HelpFormatter:
    return click.HelpFormatter(width=max(40, min(_WIDEST, shutil.get_terminal_size().columns)))


def _overview() -> str:
    text = _formatter()
    text.write_usage("./deploy.sh", "[COMMAND] [FLAGS]")
    text.write_paragraph()
    with text.indentation():
        text.write_text(
            "Wrap a Docker image that serves HTTP, and run it as a chute. Without a command: a menu. MODULE is a deploy "
            "module, with or without .py; NAME a chute's name, id or module."
        )
    for group in GROUPS:
        with text.section(f"{group.title} (--help {group.name})"):
            text.write_dl([(_typed(command), str(command.help)) for command in _of(group)])
            text.write_text("Flags: " + " ".join(each.opts[0] for each in _modifiers(group)))
    with text.section("With every command"):
        shown = [(", ".join(each.opts), str(each.help)) for each in EVERYWHERE]
        text.write_dl([*shown, ("--help, -h [TOPIC]", "All commands; flags and examples of a group or a command.")])
    return text.getvalue()


def _screen(group: Group) -> str:
    commands = _of(group)
    names = {str(command.name) for command in commands}
    text = _formatter()
    text.write_heading(group.title)
    with text.indentation():
        text.write_dl([(_typed(command), str(command.help)) for command in commands])
    with text.section("Flags"):
        text.write_dl([(_typed(each), _with(each, names)) for each in _modifiers(group)])
    with text.section("Examples"):
        for line, what in group.examples:
            text.write(f"  {line}\n")
            with text.indentation():
                text.write_text(what)
    return text.getvalue()


def _with(modifier: Modifier, names: Iterable[str]) -> str:
    """What a flag says with each of the commands ``names``; commands that it tells the same share one sentence."""
    said: dict[str, list[str]] = {}
    for name, words in modifier.to.items():
        if name in names:
            said.setdefault(words, []).append(flag_of(name))
    return " ".join(f"{_together(flags)}: {words}" for words, flags in said.items())


def _together(flags: Sequence[str]) -> str:
    return ", ".join(flags) if len(flags) <= _MOST_NAMED else "with most of them"


def _typed(option: click.Option) -> str:
    metavar = option.metavar or ("" if option.is_flag or option.count else option.type.name.upper())
    if isinstance(option.type, click.Choice):
        metavar = "|".join(option.type.choices)
    return " ".join(filter(None, (", ".join((*option.opts, *option.secondary_opts)), metavar)))
