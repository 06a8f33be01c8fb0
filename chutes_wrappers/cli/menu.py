"""``deploy.sh`` without arguments: it asks what to do, and runs the command line that says the same."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from chutes_wrappers.cli import output
from chutes_wrappers.cli.module_states import ModuleState, chute_names, module_states
from chutes_wrappers.core.errors import ConfigurationError

Ask = Callable[["Questions"], list[str]]


class Back(Exception):
    """To the menu, without running anything."""


class Quit(Exception):
    """Out of the menu."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """``ask`` makes the arguments of a command line."""

    title: str
    ask: Ask


class Questions:
    """Asks at the terminal; Enter takes the default, b goes back, q and the end of the input quit."""

    def __init__(self, states: Sequence[ModuleState], chutes: Sequence[str], latest: str) -> None:
        self._states = states
        self._chutes = chutes
        self.latest = latest

    def text(self, question: str, default: str | None = "") -> str:
        """A line; with ``default`` None one that is not empty."""
        while True:
            shown = f" [{default}]" if default else ""
            answer = _line(f"{question}{shown}: ")
            if answer or default is not None:
                return answer or default or ""
            output.warning("that needs an answer; b goes back")

    def yes(self, question: str, *, default: bool = False) -> bool:
        """Yes or no."""
        while True:
            answer = self.text(f"{question} (y/n)", "y" if default else "n").lower()
            if answer in ("y", "yes", "n", "no"):
                return answer.startswith("y")
            output.warning(f"{answer!r} is neither y nor n")

    def seconds(self, question: str) -> list[str]:
        """A number of seconds, as a list of one; empty for none."""
        while True:
            answer = self.text(question)
            if not answer or answer.replace(".", "", 1).isdecimal():
                return [answer] if answer else []
            output.warning(f"{answer!r} is no number of seconds")

    def module(self) -> str:
        """A module: by its number, its name or its path."""
        names = [state.name for state in self._states]
        self.latest = self._chosen("Module", names, self.latest if self.latest in names else next(iter(names), None))
        return self.latest

    def chute(self) -> str:
        """A chute: by its number, its name, its id, or its module."""
        return self._chosen("Chute", self._chutes, next(iter(self._chutes), None))

    def _chosen(self, what: str, names: Sequence[str], default: str | None) -> str:
        for number, name in enumerate(names, start=1):
            output.say(f"  {number}) {name}")
        while True:
            answer = self.text(what, default)
            if not answer.isdecimal():
                return answer
            if 1 <= int(answer) <= len(names):
                return names[int(answer) - 1]
            output.warning(f"there is no number {answer}: 1 to {len(names)}, or a name")


def _line(prompt: str) -> str:
    try:
        answer: str = click.prompt(prompt, default="", show_default=False, prompt_suffix="", err=True).strip()
    except click.Abort as end:
        if not _interrupted(end):
            raise Quit from end
        raise KeyboardInterrupt from end
    if answer.lower() in ("q", "quit", "exit"):
        raise Quit
    if answer.lower() in ("b", "back"):
        raise Back
    return answer


def _interrupted(end: click.Abort) -> bool:
    """Whether Ctrl-C ended a question, and not the end of the input: click makes the same of both."""
    return isinstance(end.__context__, KeyboardInterrupt)


def _build(ask: Questions) -> list[str]:
    module = ask.module()
    return ["--build", module, *(["--local"] if ask.yes("Build here, without an upload?", default=True) else [])]


def _run(ask: Questions) -> list[str]:
    return ["--run", ask.module(), "--port", ask.text("Port", "8000")]


def _warmup(ask: Questions) -> list[str]:
    chute, keep = ask.chute(), ask.seconds("Keep it for how many seconds (Enter: as the platform likes)")
    return ["--warmup", chute, *(["--keep", *keep] if keep else [])]


def _create(ask: Questions) -> list[str]:
    image, name = ask.text("Image", None), ask.text("Name of the chute (Enter: the image's)")
    return ["--create", image, *(["--name", name] if name else [])]


def _call(ask: Questions) -> list[str]:
    chute, path = ask.chute(), ask.text("Path", None)
    body = ask.text("JSON body (Enter: none)")
    return ["--call", chute, path, *(["--data", body] if body else [])]


def _status(ask: Questions) -> list[str]:
    return ["--status", ask.chute(), *(["--watch"] if ask.yes("As a live view?") else [])]


def _logs(ask: Questions) -> list[str]:
    return ["--logs", ask.chute(), *(["--follow"] if ask.yes("Follow it?") else [])]


def _emulate(ask: Questions) -> list[str]:
    module = ask.module()
    return ["--emulate", module, *(["--check"] if ask.yes("End after one call of every route?", default=True) else [])]


def _discover(ask: Questions) -> list[str]:
    module = ask.module()
    return ["--discover", module, *(["--check"] if ask.yes("Compare only, and write nothing?") else [])]


# The first nine are documented with their numbers.
ENTRIES = (
    Entry(title="List images", ask=lambda ask: ["--list-images"]),
    Entry(title="List chutes", ask=lambda ask: ["--list-chutes"]),
    Entry(title="Build chute", ask=_build),
    Entry(title="Run in Docker (GPU)", ask=lambda ask: ["--run-docker", ask.module()]),
    Entry(title="Run dev mode (host)", ask=_run),
    Entry(title="Deploy chute", ask=lambda ask: ["--deploy", ask.module()]),
    Entry(title="Chute status", ask=_status),
    Entry(title="Delete chute", ask=lambda ask: ["--delete", ask.chute()]),
    Entry(title="Account info", ask=lambda ask: ["--account"]),
    Entry(title="Create from an image", ask=_create),
    Entry(title="Discover routes", ask=_discover),
    Entry(title="Emulate", ask=_emulate),
    Entry(title="Cost", ask=lambda ask: ["--cost", ask.module()]),
    Entry(title="Logs", ask=_logs),
    Entry(title="Warm up", ask=_warmup),
    Entry(title="Call a route", ask=_call),
    Entry(title="Forward its API", ask=lambda ask: ["--forward", ask.module()]),
    Entry(title="Share", ask=lambda ask: ["--share", ask.chute(), ask.text("With which user", None)]),
    Entry(title="Set a secret", ask=lambda ask: ["--secret", ask.chute(), ask.text("Variable", None)]),
    Entry(title="Delete image", ask=lambda ask: ["--delete-image", ask.text("Image (name:tag)", None)]),
    Entry(title="Doctor", ask=lambda ask: ["--doctor"]),
    Entry(title="Shell completion", ask=lambda ask: ["--completion", ask.text("bash, zsh or fish", "bash")]),
)


@dataclass
class Menu:
    """The menu; ``run_arguments`` runs a command line and returns its exit code."""

    run_arguments: Callable[[Sequence[str]], int]
    _latest: str = ""

    def run(self) -> int:
        """Ask and run until somebody quits; 0, or 130 for Ctrl-C at a question. ConfigurationError without a terminal."""
        if not sys.stdin.isatty():
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
        questions = Questions(states, chute_names(states), self._latest)
        try:
            arguments = _asked(questions)
        except Back:
            return
        self._latest = questions.latest
        if not arguments:
            return
        output.say("")
        output.heading(f"$ ./deploy.sh {shlex.join(arguments)}")
        code = self.run_arguments(arguments)
        if code:
            output.warning(f"exit code {code}")
        with contextlib.suppress(Back):  # the menu is where it goes back to
            _line("Enter goes on, q quits: ")


def _asked(questions: Questions) -> list[str]:
    """The arguments of what somebody wants to do; none when that is not clear."""
    answer = _line("What to do (number, or flags as on the command line; q quits): ")
    if answer.startswith("-"):
        return _split(answer)
    if answer.isdecimal() and 1 <= int(answer) <= len(ENTRIES):
        return ENTRIES[int(answer) - 1].ask(questions)
    if answer:
        output.warning(f"{answer!r} is none of the entries: a number from 1 to {len(ENTRIES)}, or q")
    return []


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        output.warning(f"{line!r} is no command line: {error}")
        return []


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
