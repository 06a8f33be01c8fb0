"""``deploy.sh``: its flags, and what they mean together."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence

import click
from click.core import ParameterSource

from chutes_wrappers.cli import output
from chutes_wrappers.cli.completion import VARIABLE
from chutes_wrappers.cli.dispatch import RUN
from chutes_wrappers.cli.flags import COMMANDS, EVERYWHERE, MODIFIERS, Command, flag_of
from chutes_wrappers.cli.usage import help_text, wants_help


class _Program(click.Command):
    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        if wants_help(arguments) and not context.resilient_parsing:
            click.echo(help_text(arguments), nl=False)
            context.exit()
        given = [each.partition("=")[0] for each in arguments]
        for command in COMMANDS:
            if given.count(flag_of(str(command.name))) > 1:
                raise click.UsageError(f"{flag_of(str(command.name))} comes twice: one at a time")
        return super().parse_args(context, arguments)

    def get_help(self, context: click.Context) -> str:
        return help_text(["--help"])


def _deploy(**options: object) -> None:
    context = click.get_current_context()
    verbs = [str(command.name) for command in COMMANDS if options[str(command.name)] is not None]
    _check_usage(verbs, options)
    output.be_quiet(bool(options["quiet"]))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that whatever runs is stopped then, too
    command = (lambda: RUN[verbs[0]](options)) if verbs else (lambda: _menu(options))
    context.exit(output.run(command, debug=bool(options["debug"])))


def _menu(options: Mapping[str, object]) -> int:
    from chutes_wrappers.cli.menu import Menu

    given = [str(option.name) for option in EVERYWHERE if options[str(option.name)]]
    return Menu(run_arguments, with_all=[flag_of(name) for name in given]).run()


def run_arguments(arguments: Sequence[str]) -> int:
    """Run a command line; its exit code. A wrong one is said."""
    try:
        code: object = deploy.main(list(arguments), prog_name="./deploy.sh", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.ClickException as wrong:
        wrong.show()
        return wrong.exit_code


def _check_usage(verbs: Sequence[str], options: Mapping[str, object]) -> None:
    if len(verbs) > 1:
        raise click.UsageError(f"{' and '.join(map(flag_of, verbs))}: one at a time")
    for command in COMMANDS:
        if command.name in verbs and not command.is_flag:
            _check_names(command, options[command.name])
    context = click.get_current_context()
    for modifier in MODIFIERS:
        is_given = context.get_parameter_source(str(modifier.name)) is not ParameterSource.DEFAULT
        if is_given and not {*modifier.to} & {*verbs}:
            meant = " or ".join(flag_of(verb) for verb in modifier.to)
            raise click.UsageError(f"{flag_of(str(modifier.name))} means something only with {meant}")
    if options["local"]:
        for name in ("public", "logo", "as_json"):
            if options[name]:
                raise click.UsageError(f"{flag_of(name)} means nothing with --build --local, which uploads nothing")


def _check_names(command: Command, given: object) -> None:
    for name in given if isinstance(given, tuple) else (given,):
        if not name or str(name).startswith("-"):
            raise click.UsageError(f"{flag_of(str(command.name))} needs {command.metavar}, not {name!r}")


deploy = _Program(
    "deploy.sh",
    params=[*COMMANDS, *MODIFIERS, *EVERYWHERE],
    callback=_deploy,
    options_metavar="[COMMAND] [FLAGS]",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """What ``deploy.sh`` calls; ends the process."""
    deploy(prog_name="./deploy.sh", complete_var=VARIABLE)


if __name__ == "__main__":
    main()
