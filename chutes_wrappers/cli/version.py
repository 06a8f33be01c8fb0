"""``--version``: the versions of the program, the SDK and Python."""

from __future__ import annotations

import platform
from importlib import metadata

import click

from chutes_wrappers.cli import output
from chutes_wrappers.core.program import VERSION


def collect_versions() -> list[tuple[str, str]]:
    """Return names and versions, without importing the packages."""
    try:
        sdk = metadata.version("chutes")
    except metadata.PackageNotFoundError:
        sdk = "not installed"
    return [("chutes-wrappers", VERSION), ("chutes (SDK)", sdk), ("Python", platform.python_version())]


def show_version(context: click.Context, parameter: click.Parameter, is_requested: bool) -> None:
    """Print the versions and exit, if ``--version`` is in the command line."""
    if is_requested and not context.resilient_parsing:
        output.print_result("\n".join(f"{name} {version}" for name, version in collect_versions()))
        context.exit()
