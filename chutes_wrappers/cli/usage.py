"""The texts of ``--help``: all commands on one screen, and a screen for each group of them."""

from __future__ import annotations

import difflib
import shutil
import textwrap
from collections.abc import Sequence

import click

from chutes_wrappers.cli.flags import COMMANDS, EVERYWHERE, GROUPS, MODIFIERS, Command, Group, Modifier, flag_of

_WIDEST = 110
_HELP = ("--help", "-h")


def wants_help(arguments: Sequence[str]) -> bool:
    """Whether help was asked for."""
    return any(each in _HELP for each in arguments)


def help_text(arguments: Sequence[str]) -> str:
    """The help that ``arguments`` ask for: of the group or command behind ``--help`` or before it, else of everything.

    UsageError names the nearest topic to one that there is not.
    """
    at = next((index for index, each in enumerate(arguments) if each in _HELP), len(arguments))
    topic = next(iter(arguments[at + 1 :]), "")
    if topic.startswith("-") and topic.lstrip("-") not in map(_name, COMMANDS):
        topic = ""  # a flag that came along
    asked = topic.lstrip("-").replace("_", "-") if topic else _first_command(arguments)
    if not asked:
        return _overview()
    for group in GROUPS:
        if asked == group.name:
            return _group_screen(group)
    for command in COMMANDS:
        if asked == _name(command):
            return _command_screen(command)
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
            _write_words(text, ["Flags:", *(each.opts[0] for each in _modifiers(group))])
    with text.section("With every command"):
        shown = [(", ".join(each.opts), str(each.help)) for each in EVERYWHERE]
        text.write_dl([*shown, ("--help, -h [TOPIC]", "All commands; flags and examples of a group or a command.")])
    return text.getvalue()


def _group_screen(group: Group) -> str:
    text = _formatter()
    text.write_heading(group.title)
    with text.indentation():
        text.write_dl([(_typed(command), str(command.help)) for command in _of(group)])
    with text.section("Flags (--help COMMAND tells what they do)"):
        _write_words(text, [each.opts[0] for each in _modifiers(group)])
    _write_examples(text, group.examples)
    return text.getvalue()


def _write_words(text: click.HelpFormatter, words: Sequence[str]) -> None:
    """Fill lines with words that stay whole: click breaks flags at their hyphens."""
    for line in textwrap.wrap(" ".join(words), text.width - 2, break_on_hyphens=False):
        text.write(f"  {line}\n")


def _command_screen(command: Command) -> str:
    text, flag = _formatter(), flag_of(str(command.name))
    text.write_usage("./deploy.sh", f"{_typed(command)} [FLAGS]")
    text.write_paragraph()
    with text.indentation():
        text.write_text(str(command.help))
    flags = [(_typed(each), each.to[str(command.name)]) for each in MODIFIERS if command.name in each.to]
    if flags:
        with text.section("Flags"):
            text.write_dl(flags)
    group = next(group for group in GROUPS if group.name == command.group)
    _write_examples(text, [example for example in group.examples if flag in example[0].split()])
    return text.getvalue()


def _write_examples(text: click.HelpFormatter, examples: Sequence[tuple[str, str]]) -> None:
    if examples:
        with text.section("Examples"):
            widest = max(len(line) for line, _ in examples)
            for line, what in examples:
                fits = widest + len(what) + 6 <= text.width
                text.write(f"  {line:{widest}}  # {what}\n" if fits else f"  {line}\n      {what}\n")


def _typed(option: click.Option) -> str:
    metavar = option.metavar or ("" if option.is_flag or option.count else option.type.name.upper())
    if isinstance(option.type, click.Choice):
        metavar = "|".join(option.type.choices)
    return " ".join(filter(None, (", ".join((*option.opts, *option.secondary_opts)), metavar)))
