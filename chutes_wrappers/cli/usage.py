"""The texts of ``--help``: a screen for all commands, for each group and for each command."""

from __future__ import annotations

import difflib
import shutil
import textwrap
from collections.abc import Sequence

import click

from chutes_wrappers.cli.verbs.groups import GROUPS, VERBS
from chutes_wrappers.cli.verbs.verb import COMMON, Group, Verb
from chutes_wrappers.core.program import NAMES, replace_command_names

_MAX_WIDTH = 110


def format_help(topic: str) -> str:
    """Format the help of a group or a command, with or without dashes; of everything if ``topic`` is empty.

    Raises UsageError for an unknown topic, with the nearest known one.
    """
    if not topic:
        return _format_overview()
    name = topic.lstrip("-").replace("_", "-")
    for group in GROUPS:
        if name == group.name:
            return _format_group(group)
    if name in VERBS:
        return _format_command(VERBS[name])
    groups = [group.name for group in GROUPS]
    matches = difflib.get_close_matches(name, [*groups, *VERBS], n=1)
    hint = f"did you mean {matches[0]}?" if matches else f"use one of {', '.join(groups)}, or a command"
    raise click.UsageError(f"unknown help topic {topic!r}: {hint}")


def flags_of(group: Group) -> list[str]:
    """Return the long names of all flags of a group's commands."""
    return list(dict.fromkeys(option.opts[0] for verb in group.verbs for option in verb.get_options()))


def describe_option(option: click.Option) -> str:
    """Return the help of a flag, with its default."""
    has_default = isinstance(option.default, (int, float)) and not isinstance(option.default, bool)
    return f"{option.help} [{option.default:g}]." if has_default else str(option.help)


def _make_formatter() -> click.HelpFormatter:
    return click.HelpFormatter(width=max(40, min(_MAX_WIDTH, shutil.get_terminal_size().columns)))


def _format_overview() -> str:
    formatter = _make_formatter()
    formatter.write_usage(NAMES.deploy, "[COMMAND] [FLAGS]")
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(
            "Wrap a Docker image that serves HTTP, and run it as a chute. Without a command: a menu. MODULE is a deploy "
            "module, with or without .py; NAME your chute's exact name, id or module, or another user's USER/NAME. The "
            "dashes of a command are optional."
        )
    for group in GROUPS:
        with formatter.section(f"{group.title} (--help {group.name})"):
            formatter.write_dl([(_format_verb(verb), str(verb.help)) for verb in group.verbs])
            _write_words(formatter, ["Flags:", *flags_of(group)])
    with formatter.section("With every command"):
        rows = [(", ".join(each.opts), str(each.help)) for each in COMMON]
        formatter.write_dl([*rows, ("--help, -h [TOPIC]", "Show all commands, or flags and examples of a topic.")])
    return formatter.getvalue()


def _format_group(group: Group) -> str:
    formatter = _make_formatter()
    formatter.write_heading(group.title)
    with formatter.indentation():
        formatter.write_dl([(_format_verb(verb), str(verb.help)) for verb in group.verbs])
    with formatter.section("Flags (--help COMMAND describes them)"):
        _write_words(formatter, flags_of(group))
    _write_examples(formatter, group.examples)
    return formatter.getvalue()


def _write_words(formatter: click.HelpFormatter, words: Sequence[str]) -> None:
    """Write wrapped lines without breaking words: click breaks flags at their hyphens."""
    for line in textwrap.wrap(" ".join(words), formatter.width - 2, break_on_hyphens=False):
        formatter.write(f"  {line}\n")


def _format_command(verb: Verb) -> str:
    formatter = _make_formatter()
    formatter.write_usage(NAMES.deploy, f"{_format_verb(verb)} [FLAGS]")
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text("\n\n".join(filter(None, (verb.help, verb.epilog))))
    if verb.get_options():
        with formatter.section("Flags"):
            formatter.write_dl([(_format_flag(each), describe_option(each)) for each in verb.get_options()])
    group = next(group for group in GROUPS if verb in group.verbs)
    _write_examples(formatter, [example for example in group.examples if verb.flag in example[0].split()])
    return formatter.getvalue()


def _write_examples(formatter: click.HelpFormatter, examples: Sequence[tuple[str, str]]) -> None:
    if examples:
        with formatter.section("Examples"):
            lines = [(replace_command_names(line), description) for line, description in examples]
            width = max(len(line) for line, _ in lines)
            for line, description in lines:
                is_fitting = width + len(description) + 6 <= formatter.width
                formatter.write(
                    f"  {line:{width}}  # {description}\n" if is_fitting else f"  {line}\n      {description}\n"
                )


def _format_verb(verb: Verb) -> str:
    choices = [each.type.choices for each in verb.operands if isinstance(each.type, click.Choice)]
    return f"{verb.flag} {'|'.join(choices[0]) if choices else verb.operand_metavars}".rstrip()


def _format_flag(option: click.Option) -> str:
    return " ".join(filter(None, (", ".join((*option.opts, *option.secondary_opts)), option.metavar)))
