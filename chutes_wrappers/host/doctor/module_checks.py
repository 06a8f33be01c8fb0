"""Checks of deploy modules, their manifests and their images."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, ImageMissing, WrapperError
from chutes_wrappers.core.manifest import Manifest, load_manifest
from chutes_wrappers.core.overruled_rules import describe_rule, is_overruled
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.account.credentials import read_account
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from chutes_wrappers.host.doctor.finding import Finding, Severity, format_count, format_error, run_check
from chutes_wrappers.host.image_freshness import check_image_freshness
from chutes_wrappers.host.inspection import inspect_image, list_digests
from chutes_wrappers.host.modules.definition import describe_staged_module
from chutes_wrappers.host.modules.module_facts import LiteralFacts, ModuleFacts, read_literals, read_module
from chutes_wrappers.host.modules.module_files import format_module, list_module_files
from chutes_wrappers.host.preflight.preflight import find_problems
from chutes_wrappers.host.preflight.problem import Problem
from chutes_wrappers.host.staging import create_stage

_UNKNOWN_USERNAME = "local"


def check_modules(folder: Path, engine: DockerEngine | WrapperError, to_run: Sequence[Path]) -> Iterator[Finding]:
    """Check the modules ``to_run``, as a build loads them. Without any, check what is readable of those in ``folder``.

    A folder without modules means the project's. Without an engine, images are not checked.
    """
    paths = to_run or list_module_files(folder)
    if not paths:
        yield Finding(
            group="modules",
            name="modules",
            severity="note",
            found=f"no deploy_*.py in {folder}",
            fix=f"{NAMES.deploy} --create IMAGE creates one",
        )
    checks = _Checks(engine=None if isinstance(engine, WrapperError) else engine, may_run=bool(to_run))
    for path in paths:
        yield from run_check("modules", path.name, functools.partial(_make_findings, path, checks))


def _make_findings(path: Path, checks: _Checks) -> Iterator[Finding]:
    for severity, message, fix in checks.check_module(path):
        yield Finding(group="modules", name=path.name, severity=severity, found=message, fix=fix)


@dataclass
class _Checks:
    """The checks of modules one after the other. Only with ``may_run`` anything of a module is run: the user named it."""

    engine: DockerEngine | None
    may_run: bool
    _images: dict[str, str] = field(default_factory=dict)  # name and tag of an image → the module that builds it

    def check_module(self, path: Path) -> Iterator[tuple[Severity, str, str]]:
        """Yield severity, message and fix of each finding about the module at ``path``; at least one."""
        if not platform_rules.MODULE_FILE.match(path.name) and not is_overruled("module-file"):
            yield "failure", "the platform rejects this file name", "rename it: a-z, 0-9 and '_' only"
            return
        try:
            read = LiteralFacts(facts=read_module(path), computed=()) if self.may_run else read_literals(path)
            manifest = load_manifest(read.facts.manifest_path) if read.facts.manifest_path.exists() else None
            problems = _find_problems(read.facts, manifest or Manifest()) if self.may_run else []
        except WrapperError as error:
            yield "failure", format_error(error), error.next_step or "correct it"
            return
        name = format_module(path)
        for problem in problems:
            if manifest is None and problem.rule == "no-cord":  # discovery has not written the routes yet
                continue
            yield _rate_problem(problem)
        yield from self._check_image_name(read, path)
        if not self.may_run:
            yield "note", _describe_unread(read), f"{NAMES.deploy} --doctor {name} runs it, to check all of it"
        if manifest is None:
            yield "note", "no manifest yet", f"{NAMES.deploy} --discover {name}"
        elif finding := _check_freshness(read, manifest, self.engine):
            yield finding
        else:
            routes = format_count(len(manifest.routes), "route")
            yield "ok", f"{routes}; --discover {name} --check compares them with the service", ""

    def _check_image_name(self, read: LiteralFacts, path: Path) -> Iterator[tuple[Severity, str, str]]:
        other_module = self._images.setdefault(read.image, path.name) if read.image else path.name
        if other_module != path.name:
            message = f"it builds {read.image}, and so does {other_module}"
            yield "warning", message, "give one of them another CHUTE_NAME or CHUTE_TAG"


def _describe_unread(read: LiteralFacts) -> str:
    """Describe what is unknown of a module that was not run."""
    if not read.computed:
        return "not run: its cords and its settings are not checked"
    return f"{', '.join(read.computed)} {'is' if len(read.computed) == 1 else 'are'} computed: not run"


def _rate_problem(problem: Problem) -> tuple[Severity, str, str]:
    """Return the finding of a problem: a rule that the user overruled is only a warning, and a failure names its rule."""
    if problem.severity != "rejected" or is_overruled(problem.rule):
        return "warning", str(problem), problem.fix
    rule = f"\n{describe_rule(problem.rule)}" if problem.rule else ""
    return "failure", str(problem), problem.fix + rule


def _find_problems(facts: ModuleFacts, manifest: Manifest) -> list[Problem]:
    try:
        username = read_account().username
    except ConfigurationError:  # reported by the checks of the account
        username = _UNKNOWN_USERNAME
    with create_stage(facts, manifest, username=username) as stage:
        description = describe_staged_module(stage, lambda line: None)
    return find_problems(
        facts,
        description,
        facts.path.read_bytes().decode("utf-8-sig", errors="replace"),
        username=username,
        routes=manifest.routes,
    )


def _check_freshness(
    read: LiteralFacts, manifest: Manifest, engine: DockerEngine | None
) -> tuple[Severity, str, str] | None:
    """Return the finding about a manifest or a local image that is out of date; None if both are up to date, or unknown."""
    facts = read.facts
    if not read.image or not facts.base_image:
        return None
    discover_command = f"{NAMES.deploy} --discover {format_module(facts.path)}"
    if manifest.image is not None and manifest.image.reference not in ("", facts.base_image):
        return (
            "failure",
            f"its manifest is of {manifest.image.reference}, but the module wraps {facts.base_image}",
            discover_command,
        )
    if engine is None or (attributes := engine.find_image(facts.base_image)) is None:  # inspect() would pull it
        return None
    try:
        inspect_image(engine, facts.base_image)
    except WrapperError as error:
        return "failure", format_error(error), error.next_step or "use another base image"
    recorded_digest = manifest.image.digest if manifest.image is not None else ""
    if recorded_digest and recorded_digest not in list_digests(attributes):
        message = f"{facts.base_image} is not the image that discovery inspected"
        return "warning", message, f"{discover_command} --check shows whether its routes have changed"
    try:
        build_command = f"{NAMES.deploy} --build {format_module(facts.path)} --local"
        check_image_freshness(engine, facts.image, facts, manifest, build=build_command)
    except WrapperError as error:
        if not isinstance(error.__cause__, ImageMissing):
            return "warning", format_error(error), error.next_step or build_command
    return None
