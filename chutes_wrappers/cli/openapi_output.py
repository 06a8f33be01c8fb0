"""``--openapi``: the OpenAPI document of the public chute, written in addition to a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chutes_wrappers.cli import output
from chutes_wrappers.core.cord_plan import CordPlan, plan_cords
from chutes_wrappers.core.files import write_atomically
from chutes_wrappers.core.manifest import Manifest, merge_static_routes, parse_routes
from chutes_wrappers.core.routes import Route

if TYPE_CHECKING:
    from chutes_wrappers.host.modules.module_facts import ModuleFacts


def parse_static_routes(facts: ModuleFacts) -> tuple[Route, ...]:
    """Return the module's ``CHUTE_STATIC_ROUTES``, validated."""
    return parse_routes(facts.static_routes, where=f"{facts.path}, CHUTE_STATIC_ROUTES")


def write_module_document(facts: ModuleFacts, manifest: Manifest, path: Path) -> None:
    """Write the document of a module's chute that registers manifest and static routes, as the template does."""
    merged, _ = merge_static_routes(manifest, parse_static_routes(facts))
    plan = plan_cords(merged.routes, facts.service_ports[0], expose=facts.expose)
    _write_document(plan, path, name=facts.chute_name, version=facts.chute_tag)


def write_manifest_document(manifest: Manifest, path: Path) -> None:
    """Write the document of a chute with only the manifest's routes, which contain their ports."""
    ports = [route.port for route in manifest.routes if route.port is not None]
    _write_document(plan_cords(manifest.routes, ports[0] if ports else 0), path, name="chute", version="")


def _write_document(plan: CordPlan, path: Path, *, name: str, version: str) -> None:
    from chutes_wrappers.host.public_api_document import build_api_document

    write_atomically(path, build_api_document(plan, name=name, version=version))
    output.success(f"{path}: the public API in OpenAPI 3.1, {len(plan.cords)} cords")
