"""``--create IMAGE``: a module for an image, and its routes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chutes_wrappers.cli import output
from chutes_wrappers.cli.commands.discover import discover_with_defaults, warn_about_losses
from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, EngineUnavailable, UnsupportedImage, WrapperError
from chutes_wrappers.core.files import write_atomically
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.manifest import build_manifest_path
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.account.credentials import NoCredentials
from chutes_wrappers.host.container_engine.docker_engine import DockerEngine, connect
from chutes_wrappers.host.creation.image_config import ImageFacts, MalformedDescription, parse_image_facts
from chutes_wrappers.host.creation.module_source import render_module
from chutes_wrappers.host.creation.proposal import Proposal, propose
from chutes_wrappers.host.creation.reference import Reference, build_image_id_error, parse_reference
from chutes_wrappers.host.creation.registry import RegistryUnavailable, fetch_image_facts
from chutes_wrappers.host.cuda_version import (
    describe_cuda_concern,
    find_cuda_version,
    format_cuda_concern,
    has_cuda_libraries,
)
from chutes_wrappers.host.discovery.credentials import HeaderSuggestion, suggest_header
from chutes_wrappers.host.discovery.probing import Finding, list_refusals
from chutes_wrappers.host.inspection import inspect_image
from chutes_wrappers.host.modules.module_facts import read_module
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_urls import resolve_api_url
from chutes_wrappers.host.platform_api.price_lookup import fetch_pricing
from chutes_wrappers.host.pricing import find_accepted_price, format_fee_estimate, format_hourly

_PRICES_TIMEOUT_S = 5.0
_MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class CreateOptions:
    """Options of ``create``. ``name`` and ``port`` override the chute's name and the service's port from the image."""

    name: str | None = None
    port: int | None = None
    force: bool = False
    discover: bool = True


def create(reference: str, options: CreateOptions) -> int:
    """Write ``deploy_<name>.py`` for an image to the current folder, and discover its routes unless that is disabled.

    Writes and changes no file if the image cannot run on Chutes, or if a file exists and may not be replaced.
    """
    image_reference = parse_reference(reference)
    with contextlib.ExitStack() as stack:
        engine = _connect_engine(stack)
        output.print_heading(f"Inspecting {reference}")
        image, is_here = _resolve_image(image_reference, engine)
        proposal = propose(image_reference, image, name=options.name, port=options.port)
        path = Path.cwd() / proposal.file_name
        _check_no_existing_files(path, force=options.force)
        _print_proposal(proposal, image)
        cuda_concern = format_cuda_concern(find_cuda_version(image.environment, image.labels))
        if engine is not None and (options.discover or is_here):
            launch = _inspect_image(reference, engine)
            proposal = _add_cuda_libraries(proposal, launch, engine)
            cuda_concern = describe_cuda_concern(launch)
        if cuda_concern and (engine is None or not options.discover):  # else the discovery prints it
            output.warning(cuda_concern)
        write_atomically(path, render_module(proposal))
        output.success(f"{path.name}: written")
        if options.force:
            build_manifest_path(path).unlink(missing_ok=True)  # it may belong to another image
        if engine is not None and options.discover:
            _discover_routes(path, engine, proposal)
            output.report(f"Next: {NAMES.deploy} --emulate {path.stem} --check")
        else:
            if engine is not None and is_here:
                _warn_about_losses(path, engine)
            output.report(f"Next: {NAMES.deploy} --discover {path.stem}, where Docker can run the image")
    return 0


def _connect_engine(stack: contextlib.ExitStack) -> DockerEngine | None:
    try:
        return stack.enter_context(contextlib.closing(connect(output.report)))
    except EngineUnavailable as unavailable:
        output.report(f"{unavailable.what}: only the registry is queried, and no routes are discovered")
        return None


def _resolve_image(reference: Reference, engine: DockerEngine | None) -> tuple[ImageFacts, bool]:
    """Return the image's facts and whether it is on this machine. Sources: the engine, its registry, else a pull."""
    if engine is not None and (attributes := engine.find_image(reference.text)) is not None:
        return _facts_from_engine(reference.text, attributes), True
    try:
        with output.show_status(f"Querying {reference.host}"):
            return fetch_image_facts(reference), False
    except (RegistryUnavailable, MalformedDescription) as unavailable:
        if engine is None:
            raise
        output.report(f"{unavailable.what}: pulling it")
        return _facts_from_engine(reference.text, engine.inspect_image(reference.text)), True


def _facts_from_engine(reference: str, attributes: Mapping[str, Any]) -> ImageFacts:
    is_named = any(str(name).startswith(f"{reference}:") for name in attributes.get("RepoTags") or ())
    if str(attributes.get("Id")).startswith(f"sha256:{reference}") and not is_named:
        raise build_image_id_error(reference)
    return parse_image_facts(reference, attributes, int(attributes.get("Size") or 0))


def _check_no_existing_files(path: Path, *, force: bool) -> None:
    existing = [each for each in (path, build_manifest_path(path)) if os.path.lexists(each)]
    if existing and not force:
        raise ConfigurationError(
            f"{' and '.join(each.name for each in existing)} {'already exists' if len(existing) == 1 else 'already exist'}",
            where=str(path.parent),
            next_step="give another --name, or add --force to replace",
        )
    for each in existing:
        if each.is_dir() and not each.is_symlink():
            raise ConfigurationError(
                "there is a folder of this name, which --force does not replace",
                where=str(each),
                next_step="give another --name, or move the folder away",
            )


def _print_proposal(proposal: Proposal, image: ImageFacts) -> None:
    rows = [
        ("name", proposal.name),
        ("ports", ", ".join(map(str, proposal.ports))),
        ("runs", " ".join(proposal.entrypoint or image.argv)),
        ("as", image.user or "root"),
        ("labels", f"{image.title} {image.version}".strip()),
        ("health check", " ".join(image.health_check) or "none"),
        ("size", f"{image.size_bytes / _MB:.0f} MB"),
        ("GPU", f"{platform_rules.TEE_GPU}, {platform_rules.TEE_GPU_MEMORY_GB} GB: the only one that Chutes offers"),
        ("costs", _format_costs()),
    ]
    for name, value in rows:
        if value:
            output.report(f"  {name:13} {value}")
    for note in proposal.notes:
        output.warning(note)


def _format_costs() -> str:
    """Return the prices of that GPU: the platform's, else the known ones, marked as an estimate."""
    pricing: dict[str, Any] = {}
    with contextlib.suppress(WrapperError):
        url = resolve_api_url()
        with api_client.PlatformApi(url, NoCredentials(), timeout_s=_PRICES_TIMEOUT_S) as api:
            pricing = fetch_pricing(api)
    price = find_accepted_price(pricing)
    return f"{format_hourly(price)}, and about {format_fee_estimate(price)} once for the first deployment"


def _inspect_image(reference: str, engine: DockerEngine) -> LaunchSpec:
    """Return the image's launch facts. Pulls the image unless it is on this machine.

    Raises UnsupportedImage for an image that can never run on Chutes.
    """
    try:
        return inspect_image(engine, reference)
    except UnsupportedImage:
        raise
    except WrapperError as failure:
        failure.next_step = f"{failure.next_step or 'correct it'}; or add --no-discover to query only its registry"
        raise


def _add_cuda_libraries(proposal: Proposal, launch: LaunchSpec, engine: DockerEngine) -> Proposal:
    """Return the proposal with the recipe's option for CUDA's libraries of Python packages, where the image has them."""
    with engine.open_files(launch.reference) as files:
        if not has_cuda_libraries(files, launch):
            return proposal
    output.report("Python packages bring CUDA's libraries: cuda_libraries=True lets every program find them")
    return replace(proposal, has_cuda_libraries=True)


def _warn_about_losses(path: Path, engine: DockerEngine) -> None:
    facts = read_module(path, output.report)
    warn_about_losses(facts, engine, inspect_image(engine, facts.base_image))


def _discover_routes(path: Path, engine: DockerEngine, proposal: Proposal) -> None:
    command = f"{NAMES.deploy} --discover {path.stem}"
    findings: list[Finding] = []
    try:
        discover_with_defaults(read_module(path, output.report), engine, findings.extend)
    except WrapperError as failure:
        header = _write_header(path, proposal, findings)
        step = f"export {header.variable} ({header.meaning})" if header else failure.next_step or "correct it"
        failure.next_step = f"{step}; then run {command} (the module is kept)"
        raise
    except KeyboardInterrupt:
        output.warning(f"{path.name} is kept; {command} discovers its routes")
        raise
    if header := _write_header(path, proposal, findings):
        output.report_next_step(f"export {header.variable} ({header.meaning}) before you run the next command")


def _write_header(path: Path, proposal: Proposal, findings: Sequence[Finding]) -> HeaderSuggestion | None:
    """Write the header into the module that sends the credentials which the service wants. Return it if one was refused."""
    routes = [route for finding in findings for route in finding.operations.routes]
    refusals = list_refusals(findings)
    header = suggest_header(routes, refusals)
    if refusals:
        output.warning(f"the service wants credentials: {refusals[0]}")
    if header is None:
        if refusals:
            output.report_next_step(
                f"send them with CHUTE_HEADERS in {path.name}: the service's documentation names the header"
            )
        return None
    refusal = refusals[0] if refusals else None
    write_atomically(path, render_module(replace(proposal, header=header, refusal=refusal)))
    if refusal is None:
        output.report(f"its specification declares credentials: {path.name} has a comment with {header.line}")
        return None
    output.success(f"{path.name}: {header.line}")
    return header
