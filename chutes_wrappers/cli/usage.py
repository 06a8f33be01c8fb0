"""The texts of ``--help``: all commands on one screen, and a screen for each group and each command."""

from __future__ import annotations

import difflib
import shutil
import textwrap
from collections.abc import Sequence

import click

from chutes_wrappers.cli.verbs.groups import GROUPS, VERBS
from chutes_wrappers.cli.verbs.verb import COMMON, Group, Verb
from chutes_wrappers.core.program import NAMES, renamed

_WIDEST = 110


def help_text(topic: str) -> str:
    """The help on a group or a command, with or without dashes; on everything where ``topic`` is empty.

    UsageError for an unknown topic, with the nearest known one.
    """
    if not topic:
        return _overview()
    asked = topic.lstrip("-").replace("_", "-")
    for group in GROUPS:
        if asked == group.name:
            return _group_screen(group)
    if asked in VERBS:
        return _command_screen(VERBS[asked])
    groups = [group.name for group in GROUPS]
    near = difflib.get_close_matches(asked, [*groups, *VERBS], n=1)
    hint = f"did you mean {near[0]}?" if near else f"name one of {', '.join(groups)}, or a command"
    raise click.UsageError(f"unknown help topic {topic!r}: {hint}")


def flags_of(group: Group) -> list[str]:
    """The long names of the flags of a group's commands."""
    return list(dict.fromkeys(option.opts[0] for verb in group.verbs for option in verb.options()))


def described(option: click.Option) -> str:
    """What a flag does, with its default."""
    has_default = isinstance(option.default, (int, float)) and not isinstance(option.default, bool)
    return f"{option.help} [{option.default:g}]." if has_default else str(option.help)


def _formatter() -> click.HelpFormatter:
    return click.HelpFormatter(width=max(40, min(_WIDEST, shutil.get_terminal_size().columns)))


def _overview() -> str:
    text = _formatter()
    text.write_usage(NAMES.deploy, "[COMMAND] [FLAGS]")
    text.write_paragraph()
    with text.indentation():
        text.write_text(
            "Wrap a Docker image that serves HTTP, and run it as a chute. Without a command: a menu. MODULE is a deploy "
            "module, with or without .py; NAME a chute's name, id or module. The dashes of a command may be left out."
        )
    for group in GROUPS:
        with text.section(f"{group.title} (--help {group.name})"):
            text.write_dl([(_typed(verb), str(verb.help)) for verb in group.verbs])
            _write_words(text, ["Flags:", *flags_of(group)])
    with text.section("With every command"):
        shown = [(", ".join(each.opts), str(each.help)) for each in COMMON]
        text.write_dl([*shown, ("--help, -h [TOPIC]", "All commands; flags and examples of a group or a command.")])
    return text.getvalue()


def _group_screen(group: Group) -> str:
    text = _formatter()
    text.write_heading(group.title)
    with text.indentation():
        text.write_dl([(_typed(verb), str(verb.help)) for verb in group.verbs])
    with text.section("Flags (--help COMMAND says what they do)"):
        _write_words(text, flags_of(group))
    _write_examples(text, group.examples)
    return text.getvalue()


def _write_words(text: click.HelpFormatter, words: Sequence[str]) -> None:
    """Fill lines with words that stay whole: click breaks flags at their hyphens."""
    for line in textwrap.wrap(" ".join(words), text.width - 2, break_on_hyphens=False):
        text.write(f"  {line}\n")


def _command_screen(verb: Verb) -> str:
    text = _formatter()
    text.write_usage(NAMES.deploy, f"{_typed(verb)} [FLAGS]")
    text.write_paragraph()
    with text.indentation():
        text.write_text(str(verb.help))
    if verb.options():
        with text.section("Flags"):
            text.write_dl([(_typed_flag(each), described(each)) for each in verb.options()])
    group = next(group for group in GROUPS if verb in group.verbs)
    _write_examples(text, [example for example in group.examples if verb.flag in example[0].split()])
    return text.getvalue()


def _write_examples(text: click.HelpFormatter, examples: Sequence[tuple[str, str]]) -> None:
    if examples:
        with text.section("Examples"):
            lines = [(renamed(line), what) for line, what in examples]
            widest = max(len(line) for line, _ in lines)
            for line, what in lines:
                fits = widest + len(what) + 6 <= text.width
                text.write(f"  {line:{widest}}  # {what}\n" if fits else f"  {line}\n      {what}\n")


def _typed(verb: Verb) -> str:
    choices = [each.type.choices for each in verb.operands if isinstance(each.type, click.Choice)]
    return f"{verb.flag} {'|'.join(choices[0]) if choices else verb.needed}".rstrip()


def _typed_flag(option: click.Option) -> str:
    return " ".join(filter(None, (", ".join((*option.opts, *option.secondary_opts)), option.metavar)))
