"""``--discover M``: asks for missing options, then writes the module's manifest or compares with it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from chutes_wrappers.cli import output, prompts
from chutes_wrappers.cli.commands import discover
from chutes_wrappers.cli.commands.discover import GPUS, PROBE_TIMEOUT_S, STARTUP_DELAY_S, Settings
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.exposure import parse_expose
from chutes_wrappers.core.manifest import load_manifest
from chutes_wrappers.core.program import NAMES

if TYPE_CHECKING:
    from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
    from chutes_wrappers.host.modules.module_facts import ModuleFacts

_Value = TypeVar("_Value")


@dataclass(frozen=True, kw_only=True)
class DiscoverOptions:
    """The command line's options of a discovery; None asks the user. ``yes`` selects the defaults instead."""

    startup_delay_s: float | None = None
    probe_timeout_s: float | None = None
    gpus: str | None = None
    expose: str = ""
    openapi: Path | None = None
    check: bool = False
    yes: bool = False

    @property
    def settings(self) -> Settings:
        """All settings; asks the user for the missing ones."""
        return Settings(
            startup_delay_s=self._ask_seconds(
                "--startup-delay", self.startup_delay_s, "Startup delay", STARTUP_DELAY_S
            ),
            probe_timeout_s=self._ask_seconds(
                "--probe-timeout", self.probe_timeout_s, "Probe timeout", PROBE_TIMEOUT_S
            ),
            gpus=self._ask_value("--docker-gpus", self.gpus, "Docker --gpus (all, none, a number)", GPUS, click.STRING),
            expose=parse_expose(self.expose, where="--expose"),
            openapi=self.openapi,
        )

    def _ask_seconds(self, flag: str, value: float | None, what: str, default: float) -> float:
        return self._ask_value(flag, value, f"{what} in seconds, at most", default, click.FloatRange(min=0))

    def _ask_value(
        self, flag: str, value: _Value | None, question: str, default: _Value, kind: click.ParamType[Any]
    ) -> _Value:
        """Return the flag's value, else the default (``--yes``), else what the user enters at the terminal."""
        if value is not None:
            return value
        if self.yes or self.check:  # a check usually runs without a user, as in CI
            return default
        if not prompts.is_possible():
            raise ConfigurationError(
                f"{flag} is missing, and cannot be asked for: standard input is not a terminal",
                next_step=f"add {flag}, or --yes for the default ({default})",
            )
        try:
            return prompts.ask_value(question, default, kind)
        except click.Abort as error:  # Ctrl-C, or the end of the input
            raise KeyboardInterrupt from error


def discover_module(module: str, options: DiscoverOptions) -> int:
    """Ask for the missing options, then discover the module's routes and write its manifest; return 0."""
    from chutes_wrappers.cli.placement_warnings import load_and_warn_about_placement
    from chutes_wrappers.host.container_engine.docker_engine import connect
    from chutes_wrappers.host.modules.module_facts import read_module
    from chutes_wrappers.host.modules.module_files import resolve_module

    facts = read_module(resolve_module(module), output.report)
    settings = options.settings
    if options.check and settings.openapi is not None:
        raise ConfigurationError(
            "cannot be used with --check, which writes nothing", where="--openapi", next_step="use one of them"
        )
    load_and_warn_about_placement(facts)
    if options.check:
        return compare_with_manifest(facts, connect(output.report), settings)
    discover.discover_and_write(facts, connect(output.report), settings, facts.manifest_path)
    output.report(f"Next: {NAMES.deploy} --build {module} --local")
    return 0


def compare_with_manifest(facts: ModuleFacts, engine: DockerEngine, settings: Settings) -> int:
    """Compare the service with the module's manifest and write nothing. Raises WrapperError if they differ."""
    from chutes_wrappers.core.drift import find_differences, is_only_hidden
    from chutes_wrappers.host.modules.module_files import format_module

    with contextlib.closing(engine):
        recorded = load_manifest(facts.manifest_path)
        discovered = discover.discover_image(facts, engine, settings, lambda manifest: None)
    lines = find_differences(recorded, discovered)
    for line in lines:
        output.print_result(line)
    if lines:
        next_step = f"{NAMES.deploy} --discover {format_module(facts.path)} writes what it serves now"
        if is_only_hidden(recorded, discovered):
            next_step = (
                "the missing routes are excluded by default: give the --expose of their discovery, or set CHUTE_EXPOSE "
                f"in the module; else {next_step}"
            )
        raise WrapperError(
            f"the service differs from its manifest in {len(lines)} point{'' if len(lines) == 1 else 's'}",
            where=str(facts.manifest_path),
            next_step=next_step,
        )
    output.success(f"{facts.manifest_path.name} matches the service: {len(recorded.routes)} routes")
    return 0
