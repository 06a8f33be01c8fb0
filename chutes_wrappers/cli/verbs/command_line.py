"""Parser that finds the command at any position: ``--json --status x`` and ``status x --json`` are equal."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import click

from chutes_wrappers.cli.verbs.declarations import Flag
from chutes_wrappers.cli.verbs.verb import COMMON, Verb

HELP = ("--help", "-h")


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """A command line with its command at the front. ``verb`` is its name without dashes, empty without a command.

    ``topic`` is the topic of a request for help: "" for all commands, None without a request. ``problem`` describes an
    error, and is empty for a valid command line.
    """

    verb: str
    arguments: tuple[str, ...]
    topic: str | None
    problem: str


def parse_command_line(arguments: Sequence[str], verbs: Mapping[str, Verb]) -> CommandLine:
    """Find the command and move it to the front.

    The value of a flag, an operand, and a word after ``--`` are never a command. Raises UsageError for an unknown word
    or flag, and for a second command.
    """
    parser = _Parser(verbs=verbs, remaining=deque(arguments))
    parser.parse()
    arranged = (
        *filter(None, [parser.verb]),
        *parser.operands,
        *parser.others,
        *parser.bare_flags,
        *parser.words_after_dashes,
    )
    problem = parser.problem or _find_flag_problem(parser.verb, parser.flags, verbs)
    return CommandLine(verb=parser.verb, arguments=arranged, topic=parser.topic, problem=problem)


@dataclass
class _Parser:
    verbs: Mapping[str, Verb]
    remaining: deque[str]
    verb: str = ""
    operands: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    bare_flags: list[str] = field(default_factory=list)  # flags without their optional value: no word may follow them
    words_after_dashes: list[str] = field(default_factory=list)
    flags: list[click.Option] = field(default_factory=list)
    topic: str | None = None
    problem: str = ""

    def __post_init__(self) -> None:
        options = [*COMMON, *(option for verb in self.verbs.values() for option in verb.get_options())]
        self._options = {name: option for option in options for name in (*option.opts, *option.secondary_opts)}

    def parse(self) -> None:
        while self.remaining and self.topic is None:
            word = self.remaining.popleft()
            if word == "--":
                self._parse_rest()
            elif word in HELP:
                self.topic = self._parse_topic()
            elif word.startswith("--"):
                self._parse_long_flag(word)
            elif word.startswith("-") and word != "-":
                self._parse_short_flags(word)
            elif self.verb:
                self.others.append(word)
            else:
                self._parse_word(word)

    def _parse_rest(self) -> None:
        rest = list(self.remaining)
        self.remaining.clear()
        if self.verb:
            self.words_after_dashes = ["--", *rest]
        elif rest:
            self.problem = f"unexpected argument {rest[0]!r}: put the command before --"

    def _parse_topic(self) -> str:
        """Return the topic of ``--help``: the next word, unless that is a flag; otherwise the command before it."""
        topic = self.remaining[0] if self.remaining else ""
        if topic.startswith("-") and topic.lstrip("-") not in self.verbs:
            topic = ""
        return topic or self.verb

    def _parse_long_flag(self, word: str) -> None:
        name, has_value, value = word.partition("=")
        if name in HELP:
            self.topic = value
        elif name[2:] in self.verbs:
            self._set_verb(name[2:])
            self._parse_operands([value] if has_value else [])
        elif option := self._options.get(name):
            self._parse_option(option, word, needs_value=not has_value)
        else:
            raise _build_unknown_error(
                "flag", name, [*self._options, *(verb.flag for verb in self.verbs.values()), *HELP]
            )

    def _parse_short_flags(self, word: str) -> None:
        """Parse one flag, several switches in one word, or a flag with its value: ``-d``, ``-qy``, ``-d{}``."""
        self.others.append(word)
        for at, letter in enumerate(word[1:], start=2):
            option = self._options.get(f"-{letter}")
            if f"-{letter}" in HELP:
                self.topic = self._parse_topic()
            elif option is None:
                raise _build_unknown_error("flag", f"-{letter}", [])
            else:
                self.flags.append(option)
                if not option.is_flag:
                    self._parse_value(option, needs_value=at == len(word))
                    return

    def _parse_word(self, word: str) -> None:
        if word == "help":
            self.topic = self._parse_topic()
        elif word in self.verbs:
            self._set_verb(word)
        else:
            raise _build_unknown_error("command", word, [*self.verbs, "help", "--version"])

    def _set_verb(self, name: str) -> None:
        if self.verb == name:
            raise click.UsageError(f"--{name} is given twice: give it once")
        if self.verb:
            raise click.UsageError(f"--{self.verb} and --{name} cannot be used together: give one command")
        self.verb = name

    def _parse_operands(self, words: list[str]) -> None:
        """Parse the next words as operands, whatever they look like. The command itself reports a missing one."""
        verb = self.verbs[self.verb]
        expected_count = len(verb.operands)
        if len(words) > expected_count and not verb.has_optional_words:
            self.problem = f"{verb.flag} does not accept a value"
        while len(words) < expected_count and self.remaining and self.remaining[0] not in HELP:
            words.append(self.remaining.popleft())
        self.problem = self.problem or next(filter(None, map(verb.find_operand_problem, words)), "")
        self.operands = words

    def _parse_option(self, option: click.Option, word: str, *, needs_value: bool) -> None:
        self.flags.append(option)
        self.others.append(word)
        if not option.is_flag:
            self._parse_value(option, needs_value=needs_value)

    def _parse_value(self, option: click.Option, *, needs_value: bool) -> None:
        if not needs_value or not self.remaining:
            return
        next_word = self.remaining[0]
        is_optional = isinstance(option, Flag) and option.has_optional_value
        if is_optional and (next_word.startswith("-") or (not self.verb and next_word in self.verbs)):
            self.bare_flags.append(self.others.pop())
        else:
            self.others.append(self.remaining.popleft())


def _find_flag_problem(name: str, flags: Iterable[click.Option], verbs: Mapping[str, Verb]) -> str:
    """Describe the first of ``flags`` that the command does not have; empty if it has all of them."""
    own_options = verbs[name].get_options() if name else []
    known = {option.name for option in (*COMMON, *own_options)}
    for flag in flags:
        if flag.name not in known:
            owners = [
                verb.flag for verb in verbs.values() if flag.name in {option.name for option in verb.get_options()}
            ]
            *others, last = owners
            listed = f"{', '.join(others)} or {last}" if others else last
            return f"{flag.opts[0]} can only be used with {listed}"
    return ""


def _build_unknown_error(kind: str, word: str, known: Sequence[str]) -> click.UsageError:
    matches = difflib.get_close_matches(word, known, n=1)
    hint = f"Did you mean {matches[0]}?" if matches else "--help lists the commands, --help COMMAND its flags."
    return click.UsageError(f"unknown {kind}: {word or repr(word)}. {hint}")
