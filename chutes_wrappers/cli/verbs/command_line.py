"""Where the command stands in a command line: ``--json --status x`` and ``status x --json`` mean the same."""

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
    """A command line with its command in front. ``verb`` is its name without dashes, empty without a command.

    ``topic`` is what help was asked for: "" for all commands, None where it was not asked for. ``problem`` says what is wrong.
    """

    verb: str
    arguments: tuple[str, ...]
    topic: str | None
    problem: str


def read(arguments: Sequence[str], verbs: Mapping[str, Verb]) -> CommandLine:
    """Find the command and move it to the front. UsageError for an unknown word or flag, and for a second command.

    Neither a value of a flag, nor an operand, nor a word after ``--`` is a command.
    """
    reader = _Reader(verbs=verbs, left=deque(arguments))
    reader.read()
    arranged = (*filter(None, [reader.verb]), *reader.operands, *reader.others, *reader.bare, *reader.rest)
    problem = reader.problem or _flag_problem(reader.verb, reader.flags, verbs)
    return CommandLine(verb=reader.verb, arguments=arranged, topic=reader.topic, problem=problem)


@dataclass
class _Reader:
    verbs: Mapping[str, Verb]
    left: deque[str]
    verb: str = ""
    operands: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)  # flags without their optional value: no word may stand behind them
    rest: list[str] = field(default_factory=list)
    flags: list[click.Option] = field(default_factory=list)
    topic: str | None = None
    problem: str = ""

    def __post_init__(self) -> None:
        options = [*COMMON, *(option for verb in self.verbs.values() for option in verb.options())]
        self._options = {name: option for option in options for name in (*option.opts, *option.secondary_opts)}

    def read(self) -> None:
        while self.left and self.topic is None:
            word = self.left.popleft()
            if word == "--":
                self._take_the_rest()
            elif word in HELP:
                self.topic = self._topic()
            elif word.startswith("--"):
                self._take_long(word)
            elif word.startswith("-") and word != "-":
                self._take_short(word)
            elif self.verb:
                self.others.append(word)
            else:
                self._take_word(word)

    def _take_the_rest(self) -> None:
        rest = list(self.left)
        self.left.clear()
        if self.verb:
            self.rest = ["--", *rest]
        elif rest:
            self.problem = f"unexpected argument {rest[0]!r}: a command stands before --"

    def _topic(self) -> str:
        """The topic of ``--help``: the word after it, unless that is a flag; else the command before it."""
        topic = self.left[0] if self.left else ""
        if topic.startswith("-") and topic.lstrip("-") not in self.verbs:
            topic = ""
        return topic or self.verb

    def _take_long(self, word: str) -> None:
        name, has_value, value = word.partition("=")
        if name in HELP:
            self.topic = value
        elif name[2:] in self.verbs:
            self._take_verb(name[2:])
            self._take_operands([value] if has_value else [])
        elif option := self._options.get(name):
            self._take_option(option, word, needs_value=not has_value)
        else:
            raise _unknown("flag", name, [*self._options, *(verb.flag for verb in self.verbs.values()), *HELP])

    def _take_short(self, word: str) -> None:
        """One flag, several switches in one word, or a flag with its value: ``-d``, ``-qy``, ``-d{}``."""
        self.others.append(word)
        for at, letter in enumerate(word[1:], start=2):
            option = self._options.get(f"-{letter}")
            if f"-{letter}" in HELP:
                self.topic = self._topic()
            elif option is None:
                raise _unknown("flag", f"-{letter}", [])
            else:
                self.flags.append(option)
                if not option.is_flag:
                    self._take_values(option, needs_value=at == len(word))
                    return

    def _take_word(self, word: str) -> None:
        if word == "help":
            self.topic = self._topic()
        elif word in self.verbs:
            self._take_verb(word)
        else:
            raise _unknown("command", word, [*self.verbs, "help", "--version"])

    def _take_verb(self, name: str) -> None:
        if self.verb == name:
            raise click.UsageError(f"--{name} comes twice: one at a time")
        if self.verb:
            raise click.UsageError(f"--{self.verb} and --{name}: one at a time")
        self.verb = name

    def _take_operands(self, words: list[str]) -> None:
        """Those behind ``--verb``: the next words, whatever they look like. The command itself finds that one is missing."""
        verb = self.verbs[self.verb]
        wanted = len(verb.operands)
        if len(words) > wanted:
            self.problem = f"{verb.flag} does not take a value"
        while len(words) < wanted and self.left and self.left[0] not in HELP:
            words.append(self.left.popleft())
        self.problem = self.problem or next(filter(None, map(verb.operand_problem, words)), "")
        self.operands = words

    def _take_option(self, option: click.Option, word: str, *, needs_value: bool) -> None:
        self.flags.append(option)
        self.others.append(word)
        if not option.is_flag:
            self._take_values(option, needs_value=needs_value)

    def _take_values(self, option: click.Option, *, needs_value: bool) -> None:
        if not needs_value or not self.left:
            return
        following = self.left[0]
        is_optional = isinstance(option, Flag) and option.has_optional_value
        if is_optional and (following.startswith("-") or (not self.verb and following in self.verbs)):
            self.bare.append(self.others.pop())
        else:
            self.others.append(self.left.popleft())


def _flag_problem(name: str, flags: Iterable[click.Option], verbs: Mapping[str, Verb]) -> str:
    """Which of ``flags`` does not belong to the command, and to which it does; empty when all of them belong."""
    own = verbs[name].options() if name else []
    known = {option.name for option in (*COMMON, *own)}
    for flag in flags:
        if flag.name not in known:
            owners = [verb.flag for verb in verbs.values() if flag.name in {option.name for option in verb.options()}]
            return f"{flag.opts[0]} means something only with {' or '.join(owners)}"
    return ""


def _unknown(kind: str, word: str, known: Sequence[str]) -> click.UsageError:
    near = difflib.get_close_matches(word, known, n=1)
    hint = f"Did you mean {near[0]}?" if near else "--help lists the commands, --help COMMAND its flags."
    return click.UsageError(f"no such {kind}: {word or repr(word)}. {hint}")
