"""Commands that set up this program and diagnose problems."""

from __future__ import annotations

import click

from chutes_wrappers.cli.verbs.declarations import as_json, flag, operand, optional_modules
from chutes_wrappers.cli.verbs.verb import Group, verb


@verb(title="Doctor", number=21)
@optional_modules
@flag("--facts", help="only print what is known of the platform.")
@as_json
def doctor(modules: tuple[str, ...], facts: bool, as_json: bool) -> int:
    """Check Python, Docker, account and modules; print the fixes. Runs only the named modules."""
    from chutes_wrappers.cli.commands.doctor import print_facts, run_doctor

    if facts:
        return print_facts(as_json=as_json)
    return run_doctor(modules, as_json=as_json)


@verb(title="Shell completion", number=22)
@operand("shell", "SHELL", click.Choice(("bash", "zsh", "fish")), ask="bash, zsh or fish", ask_default="bash")
def completion(shell: str) -> int:
    """Print the completion script of a shell."""
    from chutes_wrappers.cli import output
    from chutes_wrappers.cli.completion import build_script
    from chutes_wrappers.core.program import find_executable

    output.print_result(build_script(shell, find_executable()))
    return 0


GROUP = Group(
    name="help",
    title="Set up and diagnose",
    verbs=(doctor, completion),
    examples=(
        ("./deploy.sh --doctor", "print what would fail here, and the fix"),
        ("./deploy.sh --doctor deploy_ocr", "run this module, too, and check all of it"),
        ("./deploy.sh --doctor --facts", "print the rules of the platform"),
        ("source <(./deploy.sh --completion bash)", "or zsh; fish: … --completion fish | source"),
    ),
)
