"""``deploy.sh``: the command line, and the menu if there is no command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from chutes_wrappers.cli import output
from chutes_wrappers.cli.completion import VARIABLE
from chutes_wrappers.cli.fault_report import Invocation
from chutes_wrappers.cli.usage import format_help
from chutes_wrappers.cli.verbs.command_line import parse_command_line
from chutes_wrappers.cli.verbs.groups import VERBS
from chutes_wrappers.cli.verbs.verb import COMMON, Common, pop_common
from chutes_wrappers.core.program import NAMES

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class _Program(click.Group):
    """All commands. A command can be at any position of a command line with dashes, or be its first word."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if context.resilient_parsing:
            return super().parse_args(context, _arrange_for_completion(args))
        try:
            line = parse_command_line(args, VERBS)
            if line.topic is not None:
                output.print_result(format_help(line.topic))
                context.exit()
        except click.UsageError as error:
            error.ctx = context
            raise
        if line.problem:
            raise click.UsageError(line.problem, context)
        return super().parse_args(context, list(line.arguments))

    def collect_usage_pieces(self, context: click.Context) -> list[str]:
        return ["[COMMAND]", "[FLAGS]"]

    def shell_complete(self, context: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands in both forms, and every flag, since flags can precede their command."""
        from click.shell_completion import CompletionItem

        if not incomplete.startswith("-"):
            return [CompletionItem(name) for name in VERBS if name.startswith(incomplete)]
        flags = [option for verb in VERBS.values() for option in verb.get_options()]
        names = [name for option in (*flags, *COMMON) for name in (*option.opts, *option.secondary_opts)]
        known = dict.fromkeys([*(verb.flag for verb in VERBS.values()), *names, "--help"])
        return [CompletionItem(name) for name in known if name.startswith(incomplete)]


def _arrange_for_completion(arguments: Sequence[str]) -> list[str]:
    """Return the words before the cursor with their command at the front; empty for an invalid command line."""
    try:
        return list(parse_command_line(arguments, VERBS).arguments)
    except click.UsageError:
        return []


@click.command(
    "deploy.sh",
    cls=_Program,
    commands=VERBS,
    params=list(COMMON),
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.pass_context
def deploy(context: click.Context, /, **options: object) -> None:
    """Show the menu if there is no command."""
    if context.invoked_subcommand is None:
        common = pop_common(context)
        context.exit(output.run(lambda: _run_menu(common), debug=common.debug, invocation=Invocation(command="menu")))


def _run_menu(common: Common) -> int:
    from chutes_wrappers.cli.menu import Menu

    switches = [f"--{name}" for name in ("yes", "quiet", "debug") if getattr(common, name)]
    return Menu(run_arguments, with_all=[*switches, *(f"--allow={rule}" for rule in common.allow)]).run()


def run_arguments(arguments: Sequence[str], *, complete_var: str | None = None) -> int:
    """Run a command line, and return its exit code; prints a usage error. ``complete_var`` requests completions, if it is set."""
    try:
        code: object = deploy.main(
            list(arguments), prog_name=NAMES.deploy, complete_var=complete_var, standalone_mode=False
        )
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        output.show_usage_error(error)
        return error.exit_code


def main() -> None:
    """Run the command line and end the process; ``deploy.sh`` calls this."""
    try:
        code = run_arguments(sys.argv[1:], complete_var=VARIABLE)
    except click.Abort:  # Ctrl-C before a command runs
        code = output.INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()
