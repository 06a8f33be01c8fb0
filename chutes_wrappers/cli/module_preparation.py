"""The first steps of every command on a module: its facts, its manifest and the owner of its chute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chutes_wrappers.cli import output
from chutes_wrappers.cli.placement_warnings import print_problems
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.host.container_engine.engine import ContainerEngine
from chutes_wrappers.host.modules.module_facts import ModuleFacts, read_module
from chutes_wrappers.host.modules.module_files import resolve_module
from chutes_wrappers.host.preflight.preflight import check_not_rejected, find_problems
from chutes_wrappers.host.preflight.problem import Problem, sort_problems
from chutes_wrappers.host.staging import find_known_manifest

LOCAL_USERNAME = "local"


def read_facts(module: str) -> ModuleFacts:
    """Return the facts of the module that the command line names."""
    return read_module(resolve_module(module), output.report)


def resolve_username() -> str:
    """Return the account's username. Without an account, return a placeholder for local builds and runs."""
    from chutes_wrappers.sdk.username import chutes_username

    try:
        return chutes_username()
    except ConfigurationError:
        output.report(f"no Chutes account is set up: using the username {LOCAL_USERNAME!r} here")
        return LOCAL_USERNAME


def select_owner(definition: Mapping[str, Any], username: str) -> str:
    """Return ``username``; without an account the owner that the module itself names."""
    return str(definition["image"].get("username") or username) if username == LOCAL_USERNAME else username


def check_with_platform_rules(
    facts: ModuleFacts, definition: Mapping[str, Any], username: str, extra_problems: Sequence[Problem] = ()
) -> None:
    """Warn about everything in a module that would not work on the platform.

    ``definition`` is what the module defines; ``extra_problems`` were found already. Raises one ConfigurationError that
    lists everything that the platform would reject, with its fix.
    """
    problems = sort_problems([*_find_problems(facts, definition, username), *extra_problems])
    print_problems(problem for problem in problems if problem.severity == "warning")
    check_not_rejected(problems, str(facts.path))


def check_for_local_use(facts: ModuleFacts, definition: Mapping[str, Any], username: str) -> None:
    """Check as ``check_with_platform_rules``, but only warn about what nothing except the platform would reject."""
    problems = _find_problems(facts, definition, username)
    print_problems(problem for problem in problems if problem.only_on_platform or problem.severity == "warning")
    check_not_rejected([problem for problem in problems if not problem.only_on_platform], str(facts.path))


def _find_problems(facts: ModuleFacts, definition: Mapping[str, Any], username: str) -> list[Problem]:
    # As the SDK reads it (SDK entrypoint/deploy.py): a byte order mark stays, and every end of a line is one character.
    code = facts.path.read_text(encoding="utf-8", errors="surrogateescape")
    manifest = find_known_manifest(facts)
    routes = manifest.routes if manifest is not None else ()
    return find_problems(facts, definition, code, username=username, routes=routes)


def find_manifest(facts: ModuleFacts) -> Manifest | None:
    """Return the module's manifest unchanged, or None. Warns about unknown keys of its routes."""
    manifest = find_known_manifest(facts)
    if manifest is not None and manifest.ignored_keys:
        keys = ", ".join(manifest.ignored_keys)
        output.warning(f"{facts.manifest_path.name}: ignoring unknown keys: {keys}")
    return manifest


def ensure_manifest(facts: ModuleFacts, engine: ContainerEngine) -> Manifest:
    """Return the module's manifest with the launch facts of its image. Discover it first if it is missing.

    Raises UnsupportedImage or ConfigurationError for an image or ports that can never work, before anything is built.
    """
    from chutes_wrappers.cli.commands.discover import discover_with_defaults, warn_about_losses
    from chutes_wrappers.host.cuda_version import describe_cuda_concern
    from chutes_wrappers.host.discovery.container import check_ports
    from chutes_wrappers.host.inspection import inspect_image, list_digests

    manifest = find_manifest(facts)
    if manifest is None:
        output.report(f"{facts.manifest_path.name} is missing: discovering the routes first")
        return discover_with_defaults(facts, engine)
    launch = inspect_image(engine, facts.base_image)
    check_ports(facts.service_ports, launch)
    warn_about_losses(facts, engine, launch)
    if concern := describe_cuda_concern(launch):
        output.warning(concern)
    if manifest.image is None:
        output.report(f"the manifest has no launch facts of {facts.base_image}: reading them from the image")
        return manifest.model_copy(update={"image": launch})
    if manifest.image.digest not in list_digests(engine.inspect_image(facts.base_image)):
        output.warning(
            f"{facts.base_image} is not the image that discovery inspected: run --discover again if it serves anything new"
        )
    return manifest
