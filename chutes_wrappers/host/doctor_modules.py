"""What may be wrong with one deploy module, its manifest and the images that it stands for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, ImageMissing, WrapperError
from chutes_wrappers.core.manifest import Manifest, load_manifest
from chutes_wrappers.host.baked import check_current
from chutes_wrappers.host.credentials import account
from chutes_wrappers.host.definition import describe_outside
from chutes_wrappers.host.docker_engine import DockerEngine
from chutes_wrappers.host.inspection import inspect
from chutes_wrappers.host.modules import ModuleFacts, read_module
from chutes_wrappers.host.preflight.preflight import preflight
from chutes_wrappers.host.preflight.problem import Problem
from chutes_wrappers.host.staging import staged

Severity = Literal["ok", "note", "warning", "failure"]
_NOBODY = "local"


def module_findings(path: Path, engine: DockerEngine | None) -> Iterator[tuple[Severity, str, str]]:
    """How bad, what was found, and its fix, for everything about the module at ``path``; at least one.

    Loads the module with the SDK, as a build does. ``engine`` None: its images are not looked at.
    """
    if not platform_rules.MODULE_FILE.match(path.name):
        yield "failure", "the platform refuses this name", "rename it: a-z, 0-9 and '_' only"
        return
    try:
        facts = read_module(path)
        manifest = load_manifest(facts.manifest_path) if facts.manifest_path.exists() else None
        problems = _problems(facts, manifest or Manifest())
    except WrapperError as wrong:
        yield "failure", f"{wrong.where or path}: {wrong.what}", wrong.next_step or "correct it"
        return
    for problem in problems:
        yield "failure" if problem.severity == "refused" else "warning", str(problem), problem.fix
    if manifest is None:
        yield "note", "no manifest yet", f"./deploy.sh --discover {path.stem}"
        return
    stale = _stale(facts, manifest, engine)
    if stale:
        yield stale
    else:
        yield "ok", f"{len(manifest.routes)} routes; --discover {path.stem} --check compares them with the service", ""


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
    discover = f"./deploy.sh --discover {facts.name}"
    if manifest.image is not None and manifest.image.reference not in ("", facts.base_image):
        return (
            "failure",
            f"its manifest is of {manifest.image.reference}, the module wraps {facts.base_image}",
            discover,
        )
    if engine is None or engine.find_image(facts.base_image) is None:  # inspect() would pull it
        return None
    try:
        launch = inspect(engine, facts.base_image)
    except WrapperError as wrong:
        return "failure", f"{facts.base_image}: {wrong.what}", wrong.next_step or "take another base image"
    if manifest.image is not None and manifest.image.digest != launch.digest:
        found = f"{facts.base_image} is not the image that discovery saw"
        return "warning", found, f"{discover} --check tells whether it serves anything else"
    try:
        build = f"./deploy.sh --build {facts.name} --local"
        check_current(engine, f"{facts.chute_name}:{facts.chute_tag}".lower(), facts, manifest, build=build)
    except WrapperError as wrong:
        if not isinstance(wrong.__cause__, ImageMissing):
            return "warning", f"{wrong.where}: {wrong.what}", wrong.next_step or build
    return None
