"""Checks of deploy modules, their manifests and their images."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, ImageMissing, WrapperError
from chutes_wrappers.core.manifest import Manifest, load_manifest
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.account.credentials import read_account
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from chutes_wrappers.host.doctor.finding import Finding, Severity, format_count, format_error, run_check
from chutes_wrappers.host.image_freshness import check_image_freshness
from chutes_wrappers.host.inspection import inspect_image, list_digests
from chutes_wrappers.host.modules.definition import describe_staged_module
from chutes_wrappers.host.modules.module_facts import ModuleFacts, read_module
from chutes_wrappers.host.modules.module_files import list_module_files
from chutes_wrappers.host.preflight.preflight import find_problems
from chutes_wrappers.host.preflight.problem import Problem
from chutes_wrappers.host.staging import create_stage

_UNKNOWN_USERNAME = "local"


def check_modules(folder: Path, engine: DockerEngine | WrapperError) -> Iterator[Finding]:
    """Check each deploy module in ``folder``, or of the project when it has none. Without an engine, images are not checked."""
    paths = list_module_files(folder)
    if not paths:
        yield Finding(
            group="modules",
            name="modules",
            severity="note",
            found=f"no deploy_*.py in {folder}",
            fix=f"{NAMES.deploy} --create IMAGE creates one",
        )
    images: dict[str, str] = {}
    for path in paths:
        check = functools.partial(_make_findings, path, None if isinstance(engine, WrapperError) else engine, images)
        yield from run_check("modules", path.name, check)


def _make_findings(path: Path, engine: DockerEngine | None, images: dict[str, str]) -> Iterator[Finding]:
    for severity, message, fix in check_module(path, engine, images):
        yield Finding(group="modules", name=path.name, severity=severity, found=message, fix=fix)


def check_module(
    path: Path, engine: DockerEngine | None, images: dict[str, str]
) -> Iterator[tuple[Severity, str, str]]:
    """Yield severity, message and fix of each finding about the module at ``path``; at least one.

    Loads the module with the SDK, as a build does. Without ``engine``, its images are not checked. ``images`` maps the images of
    earlier modules (name and tag) to file names; this module's image is added.
    """
    if not platform_rules.MODULE_FILE.match(path.name):
        yield "failure", "the platform rejects this file name", "rename it: a-z, 0-9 and '_' only"
        return
    try:
        facts = read_module(path)
        manifest = load_manifest(facts.manifest_path) if facts.manifest_path.exists() else None
        problems = _find_problems(facts, manifest or Manifest())
    except WrapperError as error:
        yield "failure", format_error(error), error.next_step or "correct it"
        return
    other_module = images.setdefault(facts.image, path.name)
    if other_module != path.name:
        yield (
            "warning",
            f"it builds {facts.image}, and so does {other_module}",
            "give one of them another CHUTE_NAME or CHUTE_TAG",
        )
    for problem in problems:
        yield "failure" if problem.severity == "rejected" else "warning", str(problem), problem.fix
    if manifest is None:
        yield "note", "no manifest yet", f"{NAMES.deploy} --discover {path.stem}"
        return
    finding = _check_freshness(facts, manifest, engine)
    if finding:
        yield finding
    else:
        routes = format_count(len(manifest.routes), "route")
        yield "ok", f"{routes}; --discover {path.stem} --check compares them with the service", ""


def _find_problems(facts: ModuleFacts, manifest: Manifest) -> list[Problem]:
    try:
        username = read_account().username
    except ConfigurationError:  # reported by the checks of the account
        username = _UNKNOWN_USERNAME
    with create_stage(facts, manifest, username=username) as stage:
        description = describe_staged_module(stage, lambda line: None)
    return find_problems(
        facts, description, facts.path.read_bytes().decode("utf-8-sig", errors="replace"), username=username
    )


def _check_freshness(
    facts: ModuleFacts, manifest: Manifest, engine: DockerEngine | None
) -> tuple[Severity, str, str] | None:
    """Return the finding about a manifest or a local image that is out of date, or None."""
    discover_command = f"{NAMES.deploy} --discover {facts.name}"
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
        build_command = f"{NAMES.deploy} --build {facts.name} --local"
        check_image_freshness(engine, facts.image, facts, manifest, build=build_command)
    except WrapperError as error:
        if not isinstance(error.__cause__, ImageMissing):
            return "warning", format_error(error), error.next_step or build_command
    return None
