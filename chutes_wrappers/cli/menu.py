"""``deploy.sh`` without arguments: it asks what to do, and runs the command line that says the same."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chutes_wrappers.cli import output
from chutes_wrappers.cli.module_states import ModuleState, chute_names, module_states
from chutes_wrappers.cli.prompts import Back, Quit, is_possible, line, seconds, text, yes
from chutes_wrappers.cli.verbs.declarations import Flag, Operand, Question
from chutes_wrappers.cli.verbs.groups import VERBS
from chutes_wrappers.cli.verbs.values import SECONDS, ChuteName, ModuleName
from chutes_wrappers.cli.verbs.verb import COMMON, Verb
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.program import NAMES


class Questions:
    """What menu entries ask for: a module or a chute, of those that there are or by name."""

    def __init__(self, states: Sequence[ModuleState], latest: str) -> None:
        self._modules = [state.name for state in states]
        self._chutes = chute_names(states)
        self.latest = latest

    def module(self) -> str:
        """A module: by its number, its name or its path."""
        default = self.latest if self.latest in self._modules else next(iter(self._modules), None)
        self.latest = _chosen("Module", self._modules, default)
        return self.latest

    def chute(self) -> str:
        """A chute: by its number, its name, its id, or its module."""
        return _chosen("Chute", self._chutes, next(iter(self._chutes), None))


def _chosen(what: str, names: Sequence[str], default: str | None) -> str:
    for number, name in enumerate(names, start=1):
        output.say(f"  {number}) {name}")
    while True:
        answer = text(what, default)
        if not answer.isdecimal():
            return answer
        if 1 <= int(answer) <= len(names):
            return names[int(answer) - 1]
        output.warning(f"there is no number {answer}: 1 to {len(names)}, or a name")


def _asked(verb: Verb, questions: Questions) -> list[str]:
    """The arguments of a command line, from what somebody answers to the questions of the command's declaration."""
    words = [verb.flag, *(_operand(each, questions) for each in verb.operands)]
    for option in verb.options():
        if isinstance(option, Flag) and option.question is not None:
            answered = _answered_flag(option, option.question)
            words += answered
            if answered and option.question.ends:
                break
    return words


def _operand(operand: Operand, questions: Questions) -> str:
    if isinstance(operand.type, ChuteName):
        return questions.chute()
    if isinstance(operand.type, ModuleName):
        return questions.module()
    assert operand.question is not None, f"the menu cannot ask for {operand.name}"
    return text(operand.question.text, _text(operand.question.default))


def _answered_flag(flag: Flag, question: Question) -> list[str]:
    name = flag.opts[0]
    if isinstance(question.default, bool):
        return [name] if yes(question.text, default=question.default) else []
    if flag.type is SECONDS:
        answer = seconds(question.text, question.default or "")
    else:
        answer = text(question.text, question.default)
    return [name, answer] if answer else []


def _text(default: str | bool | None) -> str | None:
    return default if isinstance(default, str) else None


# The first nine are documented with their numbers.
ENTRIES = tuple(sorted(VERBS.values(), key=lambda verb: verb.number))


@dataclass
class Menu:
    """The menu; ``run_arguments`` runs a command line and returns its exit code. Each begins with ``with_all``."""

    run_arguments: Callable[[Sequence[str]], int]
    with_all: Sequence[str] = ()
    _latest: str = ""

    def run(self) -> int:
        """Ask and run until somebody quits; 0, or 130 for Ctrl-C at a question. ConfigurationError without a terminal."""
        if not is_possible():
            raise ConfigurationError(
                "there is no terminal to show the menu on", next_step="give a command; --help lists them"
            )
        try:
            while True:
                self._once()
        except Quit:
            return 0

    def _once(self) -> None:
        with output.waiting("Looking at the modules"):
            states, unknown_because = module_states(Path.cwd())
        _show(states, unknown_because)
        arguments = self._answered(Questions(states, self._latest))
        if not arguments:
            return
        arguments = [*self.with_all, *arguments]
        output.say(f"\n$ {NAMES.deploy} {shlex.join(arguments)}")
        code = self.run_arguments(arguments)
        if code:
            output.warning(f"exit code {code}")
        with contextlib.suppress(Back):  # the menu is where it goes back to
            line("Enter goes on, q quits: ")

    def _answered(self, questions: Questions) -> list[str]:
        """The arguments of what somebody wants to do; none when the menu is to be shown again."""
        while True:
            try:
                answer = line("What to do (number, or flags as on the command line; q quits): ")
            except Back:
                return []
            with contextlib.suppress(Back):
                if not answer or (arguments := _arguments(answer, questions)):
                    self._latest = questions.latest
                    return arguments if answer else []


def _arguments(answer: str, questions: Questions) -> list[str]:
    """What ``answer`` means; none when that is not clear, which is said."""
    if answer.startswith("-") or answer.split()[0] in (*VERBS, "help"):
        return _command_line(answer)
    if answer.isdecimal() and 1 <= int(answer) <= len(ENTRIES):
        return _asked(ENTRIES[int(answer) - 1], questions)
    output.warning(f"{answer!r} is none of the entries: a number from 1 to {len(ENTRIES)}, flags, or q")
    return []


def _command_line(typed: str) -> list[str]:
    try:
        words = shlex.split(typed)
    except ValueError as error:
        output.warning(f"{typed!r} is no command line: {error}")
        return []
    switches = {name for each in COMMON if each.expose_value for name in each.opts}
    if not {word.partition("=")[0] for word in words} - switches - {"--"}:
        output.warning(f"{typed!r} has no command")
        return []
    return words


def _show(states: Sequence[ModuleState], unknown_because: str) -> None:
    output.columns([f"{number:2}) {entry.title}" for number, entry in enumerate(ENTRIES, start=1)])
    if states:
        output.table(
            ("module", "manifest", "image", "chute"), [(one.name, one.manifest, one.image, one.chute) for one in states]
        )
    else:
        output.say("no deploy_*.py is here yet: 10 makes one")
    if unknown_because:
        output.say(f"?: {unknown_because}; 21 says what to do")
