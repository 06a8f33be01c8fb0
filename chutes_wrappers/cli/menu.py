"""The menu of ``deploy.sh`` without arguments: it asks for a command and runs its command line."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chutes_wrappers.cli import output
from chutes_wrappers.cli.module_states import ModuleState, list_chute_names, list_module_states
from chutes_wrappers.cli.prompts import Back, Quit, ask_line, ask_seconds, ask_text, ask_yes_no, is_possible
from chutes_wrappers.cli.verbs.declarations import Flag, Operand, Question
from chutes_wrappers.cli.verbs.groups import VERBS
from chutes_wrappers.cli.verbs.values import SECONDS, ChuteName, ModuleName
from chutes_wrappers.cli.verbs.verb import COMMON, Verb
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.program import NAMES


class Questions:
    """The menu's questions for a module or a chute, from a list or by name."""

    def __init__(self, states: Sequence[ModuleState], latest: str) -> None:
        self._modules = [state.name for state in states]
        self._chutes = list_chute_names(states)
        self.latest = latest

    def ask_module(self) -> str:
        """Ask for a module: by its number, its name or its path."""
        default = self.latest if self.latest in self._modules else next(iter(self._modules), None)
        self.latest = _choose("Module", self._modules, default)
        return self.latest

    def ask_chute(self) -> str:
        """Ask for a chute: by its number, its name, its id, or its module."""
        return _choose("Chute", self._chutes, next(iter(self._chutes), None))


def _choose(title: str, names: Sequence[str], default: str | None) -> str:
    for number, name in enumerate(names, start=1):
        output.show(f"  {number}) {name}")
    while True:
        choice = ask_text(title, default)
        if not choice.isdecimal():
            return choice
        if 1 <= int(choice) <= len(names):
            return names[int(choice) - 1]
        output.warning(f"unknown number {choice}: expected 1 to {len(names)}, or a name")


def _ask_arguments(verb: Verb, questions: Questions) -> list[str]:
    """Ask the questions of the command's declaration, and return the arguments of its command line."""
    words = [verb.flag, *(_ask_operand(each, questions) for each in verb.operands)]
    for option in verb.get_options():
        if isinstance(option, Flag) and option.question is not None:
            flag_arguments = _ask_flag(option, option.question)
            words += flag_arguments
            if flag_arguments and option.question.ends:
                break
    return words


def _ask_operand(operand: Operand, questions: Questions) -> str:
    if isinstance(operand.type, ChuteName):
        return questions.ask_chute()
    if isinstance(operand.type, ModuleName):
        return questions.ask_module()
    assert operand.question is not None, f"the menu cannot ask for {operand.name}"
    default = operand.question.default
    return ask_text(operand.question.text, default if isinstance(default, str) else None)


def _ask_flag(flag: Flag, question: Question) -> list[str]:
    name = flag.opts[0]
    if isinstance(question.default, bool):
        return [name] if ask_yes_no(question.text, default=question.default) else []
    if flag.type is SECONDS:
        value = ask_seconds(question.text, question.default or "")
    else:
        value = ask_text(question.text, question.default)
    return [name, value] if value else []


# The first nine are documented with their numbers.
ENTRIES = tuple(sorted(VERBS.values(), key=lambda verb: verb.number))


@dataclass
class Menu:
    """The menu. ``run_arguments`` runs a command line and returns its exit code; each one starts with ``with_all``."""

    run_arguments: Callable[[Sequence[str]], int]
    with_all: Sequence[str] = ()
    _latest: str = ""

    def run(self) -> int:
        """Ask and run commands until the user quits, and return 0.

        Raises KeyboardInterrupt for Ctrl-C at a question, and ConfigurationError without a terminal.
        """
        if not is_possible():
            raise ConfigurationError(
                "the menu needs a terminal: standard input is not one", next_step="give a command; --help lists them"
            )
        try:
            while True:
                self._run_once()
        except Quit:
            return 0

    def _run_once(self) -> None:
        with output.show_status("Checking the modules"):
            states, unknown_reason = list_module_states(Path.cwd())
        _show_states(states, unknown_reason)
        arguments = self._ask_command_line(Questions(states, self._latest))
        if not arguments:
            return
        arguments = [*self.with_all, *arguments]
        output.show("")
        output.show(f"$ {NAMES.deploy} {shlex.join(arguments)}")
        code = self.run_arguments(arguments)
        if code:
            output.warning(f"exit code {code}")
        with contextlib.suppress(Back):  # back leads to the menu, which follows anyway
            ask_line("Enter goes on, q quits: ")

    def _ask_command_line(self, questions: Questions) -> list[str]:
        """Ask for an entry, and return its arguments; empty to show the menu again."""
        while True:
            try:
                entry = ask_line("What to do (number, or flags as on the command line; q quits): ")
            except Back:
                return []
            with contextlib.suppress(Back):
                if not entry or (arguments := _parse_entry(entry, questions)):
                    self._latest = questions.latest
                    return arguments if entry else []


def _parse_entry(entry: str, questions: Questions) -> list[str]:
    """Return the arguments of ``entry``; empty, after a warning, if it is not valid."""
    if entry.startswith("-") or entry.split()[0] in (*VERBS, "help"):
        return _parse_command_line(entry)
    if entry.isdecimal() and 1 <= int(entry) <= len(ENTRIES):
        return _ask_arguments(ENTRIES[int(entry) - 1], questions)
    output.warning(f"unknown entry {entry!r}: expected a number from 1 to {len(ENTRIES)}, flags, or q")
    return []


def _parse_command_line(entry: str) -> list[str]:
    try:
        words = shlex.split(entry)
    except ValueError as error:
        output.warning(f"{entry!r} is not a valid command line: {error}")
        return []
    switches = {name for each in COMMON if each.expose_value for name in each.opts}
    if not {word.partition("=")[0] for word in words} - switches - {"--"}:
        output.warning(f"{entry!r} has no command")
        return []
    return words


def _show_states(states: Sequence[ModuleState], unknown_reason: str) -> None:
    output.print_columns([f"{number:2}) {entry.title}" for number, entry in enumerate(ENTRIES, start=1)])
    if states:
        output.print_table(
            ("module", "manifest", "image", "chute"), [(one.name, one.manifest, one.image, one.chute) for one in states]
        )
    else:
        output.show("there is no deploy_*.py yet: enter 10 to create one")
    if unknown_reason:
        output.show(f"?: {unknown_reason}; enter 21 for the fix")
