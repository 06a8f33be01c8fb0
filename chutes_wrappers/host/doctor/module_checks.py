"""What may be wrong with deploy modules, their manifests and the images that they stand for."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, ImageMissing, WrapperError
from chutes_wrappers.core.manifest import Manifest, load_manifest
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.account.credentials import account
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from chutes_wrappers.host.doctor.finding import Finding, Severity, guarded, plural, said
from chutes_wrappers.host.image_freshness import check_current
from chutes_wrappers.host.inspection import digests, inspect
from chutes_wrappers.host.modules.definition import describe_outside
from chutes_wrappers.host.modules.module_facts import ModuleFacts, read_module
from chutes_wrappers.host.modules.module_files import module_files
from chutes_wrappers.host.preflight.preflight import preflight
from chutes_wrappers.host.preflight.problem import Problem
from chutes_wrappers.host.staging import staged

_NOBODY = "local"


def modules_findings(folder: Path, engine: DockerEngine | WrapperError) -> Iterator[Finding]:
    """About each deploy module in ``folder``, or without any there, in the project; where no engine is, not about its images."""
    paths = module_files(folder)
    if not paths:
        yield Finding(
            group="modules",
            name="modules",
            severity="note",
            found=f"no deploy_*.py in {folder}",
            fix=f"{NAMES.deploy} --create IMAGE makes one",
        )
    images: dict[str, str] = {}
    for path in paths:
        look = functools.partial(_named_findings, path, None if isinstance(engine, WrapperError) else engine, images)
        yield from guarded("modules", path.name, look)


def _named_findings(path: Path, engine: DockerEngine | None, images: dict[str, str]) -> Iterator[Finding]:
    for severity, found, fix in module_findings(path, engine, images):
        yield Finding(group="modules", name=path.name, severity=severity, found=found, fix=fix)


def module_findings(
    path: Path, engine: DockerEngine | None, images: dict[str, str]
) -> Iterator[tuple[Severity, str, str]]:
    """How bad, what was found, and its fix, for everything about the module at ``path``; at least one.

    Loads the module with the SDK, as a build does. ``engine`` None: its images are not looked at. ``images`` are those of the
    modules before (name and tag → file name), and then this one's as well.
    """
    if not platform_rules.MODULE_FILE.match(path.name):
        yield "failure", "the platform refuses this name", "rename it: a-z, 0-9 and '_' only"
        return
    try:
        facts = read_module(path)
        manifest = load_manifest(facts.manifest_path) if facts.manifest_path.exists() else None
        problems = _problems(facts, manifest or Manifest())
    except WrapperError as wrong:
        yield "failure", said(wrong), wrong.next_step or "correct it"
        return
    other = images.setdefault(facts.image, path.name)
    if other != path.name:
        yield (
            "warning",
            f"it builds {facts.image}, as {other} does",
            "give one of them another CHUTE_NAME or CHUTE_TAG",
        )
    for problem in problems:
        yield "failure" if problem.severity == "refused" else "warning", str(problem), problem.fix
    if manifest is None:
        yield "note", "no manifest yet", f"{NAMES.deploy} --discover {path.stem}"
        return
    stale = _stale(facts, manifest, engine)
    if stale:
        yield stale
    else:
        routes = plural(len(manifest.routes), "route")
        yield "ok", f"{routes}; --discover {path.stem} --check compares them with the service", ""


def _problems(facts: ModuleFacts, manifest: Manifest) -> list[Problem]:
    try:
        username = account().username
    except ConfigurationError:  # a finding of its own
        username = _NOBODY
    with staged(facts, manifest, username=username) as stage:
        described = describe_outside(stage, lambda line: None)
    return preflight(facts, described, facts.path.read_bytes().decode("utf-8-sig", errors="replace"), username=username)


def _stale(facts: ModuleFacts, manifest: Manifest, engine: DockerEngine | None) -> tuple[Severity, str, str] | None:
    """What the manifest, or the image that was built here, does not know yet."""
    discover = f"{NAMES.deploy} --discover {facts.name}"
    if manifest.image is not None and manifest.image.reference not in ("", facts.base_image):
        return (
            "failure",
            f"its manifest is of {manifest.image.reference}, the module wraps {facts.base_image}",
            discover,
        )
    if engine is None or (attributes := engine.find_image(facts.base_image)) is None:  # inspect() would pull it
        return None
    try:
        inspect(engine, facts.base_image)
    except WrapperError as wrong:
        return "failure", said(wrong), wrong.next_step or "take another base image"
    seen = manifest.image.digest if manifest.image is not None else ""
    if seen and seen not in digests(attributes):
        found = f"{facts.base_image} is not the image that discovery saw"
        return "warning", found, f"{discover} --check tells whether it serves anything else"
    try:
        build = f"{NAMES.deploy} --build {facts.name} --local"
        check_current(engine, facts.image, facts, manifest, build=build)
    except WrapperError as wrong:
        if not isinstance(wrong.__cause__, ImageMissing):
            return "warning", said(wrong), wrong.next_step or build
    return None
