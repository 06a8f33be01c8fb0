"""The decorators that declare the operands and flags of a command, and the menu's questions for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from chutes_wrappers.cli.verbs.values import HOST, ORIGIN, RULE, ChuteName, ModuleName
from chutes_wrappers.core.program import NAMES

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question of the menu. With ``default`` None an answer is required; with True or False it is yes or no.

    With ``ends`` the answer yes skips the questions that follow.
    """

    text: str
    default: str | bool | None
    ends: bool = False


class Operand(click.Argument):
    """A word of a command, such as a module. It is required, or there can be any number of them."""

    def __init__(self, *declarations: Any, question: Question | None, **attributes: Any) -> None:
        super().__init__(*declarations, **attributes)
        self.question = question


class Flag(click.Option):
    """A flag of a command. With ``has_optional_value`` the value can be omitted."""

    def __init__(self, *declarations: Any, question: Question | None, **attributes: Any) -> None:
        super().__init__(*declarations, **attributes)
        self.question = question
        self.has_optional_value = not self.is_flag and "flag_value" in attributes


def operand(
    name: str, metavar: str, type: click.ParamType[Any] | None = None, *, ask: str = "", ask_default: str | None = None
) -> Callable[[Function], Function]:
    """Declare a required word; ``ask`` and ``ask_default`` are the menu's question and its default."""
    question = Question(text=ask, default=ask_default) if ask else None
    return click.argument(name, cls=Operand, metavar=metavar, type=type, question=question)


def flag(
    declaration: str,
    type: click.ParamType[Any] | None = None,
    *,
    help: str,
    ask: str = "",
    ask_default: str | bool = "",
    ends: bool = False,
    **attributes: Any,
) -> Callable[[Function], Function]:
    """Declare a flag in the form of the help: ``--check``, or ``--data -d JSON`` with a value of ``type``.

    ``ask``, ``ask_default`` and ``ends`` define the menu's Question.
    """
    names = [word for word in declaration.split() if word.startswith("-")]
    metavar = " ".join(word for word in declaration.split() if not word.startswith("-"))
    if not metavar or "flag_value" in attributes:
        attributes["is_flag"] = not metavar
    question = Question(text=ask, default=ask_default, ends=ends) if ask else None
    if metavar:
        attributes |= {"metavar": metavar, "type": type}
    return click.option(*names, cls=Flag, help=help, question=question, **attributes)


module = operand("module", "MODULE", ModuleName())
optional_modules = click.argument(
    "modules", cls=Operand, metavar="[MODULE ...]", type=ModuleName(), question=None, nargs=-1, required=False
)
chute = operand("name", "NAME", ChuteName())
as_json = click.option("--json", "as_json", cls=Flag, is_flag=True, help="print the result as JSON.", question=None)
ALLOW: dict[str, Any] = {
    "type": RULE,
    "multiple": True,
    "metavar": "RULE",
    "help": f"Let the platform decide on this rule; repeatable. {NAMES.deploy} --doctor lists the rules.",
}
allow = click.option("--allow", **ALLOW)
allow_host = flag("--allow-host NAME", HOST, multiple=True, help="accept requests for this host name; repeatable.")
allow_origin = flag(
    "--allow-origin ORIGIN", ORIGIN, multiple=True, help="accept requests from pages of this origin; repeatable."
)
