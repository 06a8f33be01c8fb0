"""Questions at a terminal: Enter selects the default, b goes back, q and the end of the input quit."""

from __future__ import annotations

import sys
from typing import Any, TypeVar

import click

from chutes_wrappers.cli import output
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.text import escape_line

_Value = TypeVar("_Value")


class Back(Exception):
    """The user wants to go back to the start of the questions."""


class Quit(Exception):
    """The user wants to quit, or the input has ended."""


def is_possible() -> bool:
    """Return whether standard input is a terminal, for questions; False if it is closed."""
    return sys.stdin is not None and sys.stdin.isatty()


def read_line(prompt: str, *, hidden: bool = False) -> str:
    """Return a typed line as it is; ``hidden`` does not echo it. Raises click.Abort for Ctrl-C and the end of the input."""
    line: str = click.prompt(
        escape_line(prompt), default="", show_default=False, prompt_suffix="", err=True, hide_input=hidden
    )
    return line


def ask_line(prompt: str, *, hidden: bool = False) -> str:
    """Return a typed line without surrounding spaces; ``hidden`` does not echo it. Raises Back, Quit or KeyboardInterrupt."""
    try:
        answer = read_line(prompt, hidden=hidden).strip()
    except click.Abort as end:
        if isinstance(end.__context__, KeyboardInterrupt):  # click raises Abort for Ctrl-C and for the end of the input
            raise KeyboardInterrupt from end
        raise Quit from end
    if answer.lower() in ("q", "quit", "exit"):
        raise Quit
    if answer.lower() in ("b", "back"):
        raise Back
    return answer


def ask_value(question: str, default: _Value, kind: click.ParamType[Any]) -> _Value:
    """Ask for a value of ``kind`` until a valid one is typed; Enter is ``default``. Raises click.Abort like ``read_line``."""
    value: _Value = click.prompt(escape_line(question), default=default, type=kind, err=True)
    return value


def confirm(question: str) -> bool:
    """Ask for yes or no; Enter selects no. Raises click.Abort like ``read_line``."""
    return click.confirm(escape_line(question), err=True)


def require_confirmation(question: str, *, subject: str, refusal: str, command: str) -> None:
    """Ask ``question``; return for yes. Raises WrapperError for no, and ConfigurationError without a terminal.

    The errors say "cannot confirm ``subject``", "``refusal``: it was not confirmed", and "run ``command`` again".
    """
    if not is_possible():
        raise ConfigurationError(
            f"cannot confirm {subject}: standard input is not a terminal",
            next_step="add --yes to go on without confirmation",
        )
    if not confirm(question):
        raise WrapperError(f"{refusal}: it was not confirmed", next_step=f"run {command} again to confirm it")


def ask_text(question: str, default: str | None = "", *, hidden: bool = False) -> str:
    """Ask for a line; with ``default`` None for one that is not empty."""
    while True:
        hint = f" [{default}]" if default else ""
        answer = ask_line(f"{question}{hint}: ", hidden=hidden)
        if answer or default is not None:
            return answer or default or ""
        output.warning("a value is required; b goes back, q quits")


def ask_yes_no(question: str, *, default: bool = False) -> bool:
    """Ask for yes or no."""
    while True:
        answer = ask_text(f"{question} (y/n)", "y" if default else "n").lower()
        if answer in ("y", "yes", "n", "no"):
            return answer.startswith("y")
        output.warning(f"{answer!r} is neither y nor n")


def ask_seconds(question: str, default: str = "") -> str:
    """Ask for a number of seconds; empty if that is the default and the user accepts it."""
    while True:
        answer = ask_text(question, default)
        if not answer or answer.replace(".", "", 1).isdecimal():
            return answer
        output.warning(f"{answer!r} is not a number of seconds")
