"""``deploy.sh`` without arguments: it asks what to do, and runs the command line that says the same."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chutes_wrappers.cli import output
from chutes_wrappers.cli.asking import Back, Quit, is_possible, line, seconds, text, yes
from chutes_wrappers.cli.flags import EVERYWHERE
from chutes_wrappers.cli.module_states import ModuleState, chute_names, module_states
from chutes_wrappers.core.errors import ConfigurationError

Ask = Callable[["Questions"], list[str]]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """``ask`` makes the arguments of a command line."""

    title: str
    ask: Ask


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


def _build(ask: Questions) -> list[str]:
    module = ask.module()
    return ["--build", module, *(["--local"] if yes("Build here, without an upload?", default=True) else [])]


def _run(ask: Questions) -> list[str]:
    return ["--run", ask.module(), "--port", text("Port", "8000")]


def _warmup(ask: Questions) -> list[str]:
    chute, keep = ask.chute(), seconds("Keep it for how many seconds (Enter: as the platform likes)")
    return ["--warmup", chute, *(["--keep", keep] if keep else [])]


def _create(ask: Questions) -> list[str]:
    image, name = text("Image", None), text("Name of the chute (Enter: the image's)")
    return ["--create", image, *(["--name", name] if name else [])]


def _call(ask: Questions) -> list[str]:
    chute, path = ask.chute(), text("Path", None)
    body = text("JSON body (Enter: none)")
    return ["--call", chute, path, *(["--data", body] if body else [])]


def _status(ask: Questions) -> list[str]:
    return ["--status", ask.chute(), *(["--watch"] if yes("As a live view?") else [])]


def _logs(ask: Questions) -> list[str]:
    return ["--logs", ask.chute(), *(["--follow"] if yes("Follow it?") else [])]


def _emulate(ask: Questions) -> list[str]:
    module = ask.module()
    return ["--emulate", module, *(["--check"] if yes("End after one call of every route?", default=True) else [])]


def _discover(ask: Questions) -> list[str]:
    module = ask.module()
    if yes("Compare only, and write nothing?"):
        return ["--discover", module, "--check"]
    bounds = ["--startup-delay", seconds("Startup delay at most, in seconds", "120")]
    bounds += ["--probe-timeout", seconds("Probe timeout after that, in seconds", "180")]
    return ["--discover", module, *bounds, "--docker-gpus", text("GPUs of the container (all, none, a number)", "all")]


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
    Entry(title="Share", ask=lambda ask: ["--share", ask.chute(), text("With which user", None)]),
    Entry(title="Set a secret", ask=lambda ask: ["--secret", ask.chute(), text("Variable", None)]),
    Entry(title="Delete image", ask=lambda ask: ["--delete-image", text("Image (name:tag)", None)]),
    Entry(title="Doctor", ask=lambda ask: ["--doctor"]),
    Entry(title="Shell completion", ask=lambda ask: ["--completion", text("bash, zsh or fish", "bash")]),
)


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
        output.say(f"\n$ ./deploy.sh {shlex.join(arguments)}")
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
    if answer.startswith("-"):
        return _command_line(answer)
    if answer.isdecimal() and 1 <= int(answer) <= len(ENTRIES):
        return ENTRIES[int(answer) - 1].ask(questions)
    output.warning(f"{answer!r} is none of the entries: a number from 1 to {len(ENTRIES)}, flags, or q")
    return []


def _command_line(typed: str) -> list[str]:
    try:
        words = shlex.split(typed)
    except ValueError as error:
        output.warning(f"{typed!r} is no command line: {error}")
        return []
    if not {word.partition("=")[0] for word in words} - {name for each in EVERYWHERE for name in each.opts} - {"--"}:
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
