"""The cords of a module that registers its manifest and its static routes, as the template does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chutes_wrappers.core.cord_plan import CordPlan, PlannedCord, find_published_methods, plan_cords
from chutes_wrappers.core.manifest import Manifest, merge_static_routes, parse_routes
from chutes_wrappers.core.routes import Route

if TYPE_CHECKING:
    from chutes_wrappers.host.modules.module_facts import ModuleFacts


def parse_static_routes(facts: ModuleFacts) -> tuple[Route, ...]:
    """Return the module's ``CHUTE_STATIC_ROUTES``, validated."""
    return parse_routes(facts.static_routes, where=f"{facts.path}, CHUTE_STATIC_ROUTES")


def list_header_names(facts: ModuleFacts, cord: PlannedCord) -> list[str]:
    """Return the headers that the module sends to the service with each call of ``cord``."""
    targets = (cord.public_method, cord.public_path), (cord.route.upstream_method, cord.route.target_path)
    return [*facts.headers.select(cord.port, *targets)]


def plan_module_cords(facts: ModuleFacts, manifest: Manifest, registered_paths: Iterable[str] = ()) -> CordPlan:
    """Plan the cords of the module with this manifest. Raises ConfigurationError for invalid static routes.

    The internal paths of its cords, ``registered_paths``, show which ``public_methods`` the module publishes.
    """
    merged, _ = merge_static_routes(manifest, parse_static_routes(facts))
    methods = find_published_methods(registered_paths)
    return plan_cords(merged.routes, facts.service_ports[0], methods, facts.expose)
