"""A command, declared as a typed function, with the flags that every command has."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
from click.core import ParameterSource

from chutes_wrappers.cli import output
from chutes_wrappers.cli.fault_report import Invocation
from chutes_wrappers.cli.overruled_report import report_overruled
from chutes_wrappers.cli.verbs.declarations import ALLOW, Operand
from chutes_wrappers.cli.verbs.values import ChuteName, ModuleName
from chutes_wrappers.cli.version import collect_versions


@dataclass(frozen=True, kw_only=True)
class Common:
    """The values of the common flags: no questions, only results and errors, complete failures, overruled rules."""

    yes: bool = False
    quiet: bool = False
    debug: bool = False
    allow: tuple[str, ...] = ()


def _show_version(context: click.Context, parameter: click.Parameter, is_requested: bool) -> None:
    """Print the versions and exit, if ``--version`` is in the command line."""
    if is_requested and not context.resilient_parsing:
        output.print_result("\n".join(f"{name} {version}" for name, version in collect_versions()))
        context.exit()


COMMON = (
    click.Option(("--yes", "-y"), is_flag=True, help="Ask no questions: use the default of each."),
    click.Option(("--quiet", "-q"), is_flag=True, help="Print only results, warnings and errors."),
    click.Option(("--debug",), is_flag=True, help="Print all lines of a build, and tracebacks."),
    click.Option(("--allow",), **ALLOW),
    click.Option(
        ("--version",),
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_version,
        help="Print the versions of this program, the SDK and Python.",
    ),
)


def pop_common(context: click.Context) -> Common:
    """Remove the common flags from the parameters of a parsed command line, and return them.

    Applies ``--quiet``, and makes SIGTERM and a closed terminal end a command like Ctrl-C.
    """
    switches = {name: bool(context.params.pop(name)) for name in ("yes", "quiet", "debug")}
    common = Common(**switches, allow=tuple(context.params.pop("allow")))
    output.set_quiet(common.quiet)
    # So that the command stops everything that it has started, also when its terminal is closed. Not under nohup.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    return common


class Verb(click.Command):
    """A command. ``title`` and ``number`` are its entry of the menu."""

    def __init__(self, name: str, *, title: str, number: int, **attributes: Any) -> None:
        attributes["params"] = [*(attributes.get("params") or ()), *COMMON]
        super().__init__(name, **attributes)
        self.title = title
        self.number = number

    @property
    def flag(self) -> str:
        """The command with dashes, as in messages."""
        return f"--{self.name}"

    @property
    def operands(self) -> list[Operand]:
        """The required words of the command."""
        return [each for each in self._get_words() if each.required]

    @property
    def has_optional_words(self) -> bool:
        """Whether any number of words may follow the command."""
        return len(self._get_words()) > len(self.operands)

    def _get_words(self) -> list[Operand]:
        return [parameter for parameter in self.params if isinstance(parameter, Operand)]

    @property
    def operand_metavars(self) -> str:
        """The operands in the form of the help: ``NAME PATH``."""
        return " ".join(str(each.metavar) for each in self._get_words())

    def get_options(self) -> list[click.Option]:
        """Return the flags without the common ones, in the order of their declaration."""
        options = [parameter for parameter in self.params if isinstance(parameter, click.Option)]
        return [option for option in options if option not in COMMON]

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; a usage error for an operand that is missing, empty or looks like a flag."""
        try:
            remaining = super().parse_args(context, args)
        except click.MissingParameter as error:
            raise click.UsageError(f"{self.flag} needs {self.operand_metavars}", context) from error
        if not context.resilient_parsing:
            self._check_operands(context)
        return remaining

    def _check_operands(self, context: click.Context) -> None:
        for each in self.operands:
            if problem := self.find_operand_problem(str(context.params[str(each.name)])):
                raise click.UsageError(problem, context)

    def find_operand_problem(self, word: str) -> str:
        """Return why ``word`` is not a valid operand; empty if it is valid."""
        return f"{self.flag} needs {self.operand_metavars}, not {word!r}" if not word or word.startswith("-") else ""

    def invoke(self, context: click.Context) -> None:
        """Run the command and exit with its code."""
        context.obj = common = pop_common(context)
        run = super().invoke

        def command() -> int:
            self._check_modules(context)
            return int(run(context) or 0)

        invocation = self._build_invocation(context)
        with report_overruled(common.allow):
            code = output.run(command, debug=common.debug, invocation=invocation)
        context.exit(code)

    def _build_invocation(self, context: click.Context) -> Invocation:
        parameters = [
            each for each in self.params if context.get_parameter_source(str(each.name)) is ParameterSource.COMMANDLINE
        ]
        values = [context.params[str(each.name)] for each in parameters if each.name in context.params]
        flat = [part for value in values for part in (value if isinstance(value, tuple) else (value,))]
        flags = tuple(each.opts[0] for each in parameters if isinstance(each, click.Option))
        return Invocation(command=self.flag, flags=flags, values=tuple(map(str, flat)))

    def _check_modules(self, context: click.Context) -> None:
        """Raise ConfigurationError for a module that does not exist, before slow imports."""
        for each in self._get_words():
            if isinstance(each.type, ModuleName) and not isinstance(each.type, ChuteName):
                from chutes_wrappers.host.modules.module_files import resolve_module

                value = context.params[str(each.name)]
                for word in value if isinstance(value, tuple) else (value,):
                    resolve_module(str(word))

    def collect_usage_pieces(self, context: click.Context) -> list[str]:
        return [*self.operand_metavars.split(), "[FLAGS]"]


def verb(*, title: str, number: int, detail: str | None = None) -> Callable[[Callable[..., int]], Verb]:
    """Declare a function as the command of its name. Its docstring is its help text; ``detail`` is in its own help only."""

    def declare(function: Callable[..., int]) -> Verb:
        name = function.__name__.replace("_", "-")
        return click.command(name, cls=Verb, title=title, number=number, epilog=detail)(function)

    return declare


@dataclass(frozen=True, kw_only=True)
class Group:
    """Commands that belong together. ``name`` is the topic of ``--help``; an example is a command line and its effect."""

    name: str
    title: str
    verbs: tuple[Verb, ...]
    examples: tuple[tuple[str, str], ...]
