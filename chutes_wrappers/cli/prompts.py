"""Questions at a terminal: Enter takes the default, b goes back, q and the end of the input quit."""

from __future__ import annotations

import sys

import click

from chutes_wrappers.cli import output


class Back(Exception):
    """Somebody wants to go back to where the questions began."""


class Quit(Exception):
    """Somebody wants to answer no more, or the input has ended."""


def is_possible() -> bool:
    """Whether there is a terminal to ask at; none is where standard input is closed."""
    return sys.stdin is not None and sys.stdin.isatty()


def ask_line(prompt: str, *, hidden: bool = False) -> str:
    """What was typed, without spaces around it; ``hidden`` shows nothing of it. Raises Back, Quit, or KeyboardInterrupt."""
    try:
        answer: str = click.prompt(
            prompt, default="", show_default=False, prompt_suffix="", err=True, hide_input=hidden
        ).strip()
    except click.Abort as end:
        if isinstance(end.__context__, KeyboardInterrupt):  # click makes the same of Ctrl-C and of the input's end
            raise KeyboardInterrupt from end
        raise Quit from end
    if answer.lower() in ("q", "quit", "exit"):
        raise Quit
    if answer.lower() in ("b", "back"):
        raise Back
    return answer


def ask_text(question: str, default: str | None = "", *, hidden: bool = False) -> str:
    """A line; with ``default`` None one that is not empty."""
    while True:
        hint = f" [{default}]" if default else ""
        answer = ask_line(f"{question}{hint}: ", hidden=hidden)
        if answer or default is not None:
            return answer or default or ""
        output.warning("that needs an answer; b goes back, q quits")


def ask_yes_no(question: str, *, default: bool = False) -> bool:
    """Yes or no."""
    while True:
        answer = ask_text(f"{question} (y/n)", "y" if default else "n").lower()
        if answer in ("y", "yes", "n", "no"):
            return answer.startswith("y")
        output.warning(f"{answer!r} is neither y nor n")


def ask_seconds(question: str, default: str = "") -> str:
    """A number of seconds; empty where that is the default and was taken."""
    while True:
        answer = ask_text(question, default)
        if not answer or answer.replace(".", "", 1).isdecimal():
            return answer
        output.warning(f"{answer!r} is no number of seconds")
