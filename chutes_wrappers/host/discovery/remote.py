"""Discovery of a service that is already running, on any host."""

from __future__ import annotations

import asyncio

from chutes_wrappers.core.exposure import Category
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.host.discovery import composition
from chutes_wrappers.host.discovery.fetching import Service
from chutes_wrappers.host.discovery.probing import Bounds, Report, probe


def discover_service(
    base_url: str,
    port: int | None,
    *,
    bounds: Bounds,
    report: Report,
    probe_paths: tuple[str, ...] = (),
    expose: frozenset[Category] = frozenset(),
) -> Manifest:
    """Return the manifest of the service at ``base_url``, with routes for ``port`` (None: the port of the URL).

    Raises ServiceFailed when there is no HTTP response, WrapperError when the service publishes nothing.
    """
    service = Service.from_url(base_url, port)
    findings = asyncio.run(probe([service], bounds=bounds, report=report, probe_paths=probe_paths, expose=expose))
    composition.check_any_response(findings, next_step=f"start the service at {service.root}, or correct --base-url")
    manifest = composition.build_manifest(findings, roots={service.port: service.root})
    composition.report_findings(manifest, findings, report, has_static_routes=False)
    return manifest
