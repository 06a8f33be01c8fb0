"""Build a manifest from findings, or raise the reason why it cannot be built. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from chutes_wrappers.core.cord_plan import separate_ports
from chutes_wrappers.core.errors import ServiceFailed, WrapperError
from chutes_wrappers.core.exposure import CATEGORIES, LEFT_OUT, find_hidden_categories
from chutes_wrappers.core.launch_spec import LaunchSpec
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.core.platform_checks import is_shadowed
from chutes_wrappers.host.discovery.notes import describe_credentials, group_notes
from chutes_wrappers.host.discovery.probing import Finding, Report
from chutes_wrappers.host.discovery.specification import Operations

_MAX_LINES = 10


def build_manifest(
    findings: Sequence[Finding],
    *,
    roots: Mapping[int, str],
    launch: LaunchSpec | None = None,
    writes: Iterable[str] = (),
) -> Manifest:
    """Return the manifest of ``findings``. ``roots`` maps each port to the root URL that ``source`` contains."""
    ports = [finding.port for finding in findings]
    readiness = {finding.port: finding.readiness for finding in findings if finding.readiness}
    image = launch and launch.model_copy(update={"readiness": readiness, "writes": tuple(writes)})
    return Manifest(
        source={
            str(finding.port): " ".join(roots[finding.port] + location for location in finding.locations)
            for finding in findings
            if finding.locations
        },
        image=image,
        routes=separate_ports((route for finding in findings for route in finding.operations.routes), ports),
        skipped=tuple(skipped for finding in findings for skipped in finding.operations.skipped),
        notes={str(finding.port): finding.operations.notes for finding in findings if finding.operations.notes},
    )


def check_any_response(findings: Iterable[Finding], *, next_step: str) -> None:
    """Raise ServiceFailed when no port responded to HTTP."""
    findings = tuple(findings)
    if not any(finding.has_responded for finding in findings):
        ports = ", ".join(str(finding.port) for finding in findings)
        evidence = "\n".join(f"port {finding.port}: {problem}" for finding in findings for problem in finding.problems)
        raise ServiceFailed(f"no HTTP response on port {ports}", evidence=evidence, next_step=next_step)


def report_findings(
    manifest: Manifest, findings: Iterable[Finding], report: Report, *, has_static_routes: bool
) -> None:
    """Report the findings. Raises WrapperError, with them as evidence, when there is no route and no static route."""
    lines = [line for finding in findings for line in _describe_finding(finding)]
    if manifest.routes or has_static_routes:
        for line in lines:
            report(line)
        return
    lines += [f"skipped {entry.method} {entry.path}: {entry.reason}" for entry in manifest.skipped]
    raise WrapperError(
        "no routes were found",
        evidence="\n".join(_truncate_lines(lines)),
        next_step="describe the routes with CHUTE_STATIC_ROUTES in the module, or set the path of the specification "
        "with --probe-paths",
    )


def _describe_finding(finding: Finding) -> list[str]:
    port, operations = finding.port, finding.operations
    if finding.locations:
        names = ", ".join(finding.locations)
        lines = [f"port {port}: {names}: {len(operations.routes)} routes, {len(operations.skipped)} skipped"]
    elif finding.has_responded:
        lines = [
            f"port {port} responds to HTTP but publishes no specification: its routes are those of CHUTE_STATIC_ROUTES"
        ]
    else:
        lines = [f"port {port} does not respond to HTTP"]
    lines += [f"port {port}: {line}" for line in _describe_expose_options(operations)]
    if finding.readiness:
        lines.append(f"port {port}: {finding.readiness} reports when the service is ready")
    lines += [f"port {port}: {line}" for line in describe_credentials(operations.routes)]
    notes = group_notes(operations.notes)
    more = "; the manifest has all of them in `notes`" if notes else ""
    return lines + _truncate_lines([f"port {port}: {note}" for note in (*finding.problems, *notes)], more)


def _describe_expose_options(operations: Operations) -> Iterator[str]:
    """Yield what the option ``--expose`` would change."""
    hidden_paths = [entry.path for entry in operations.skipped if LEFT_OUT in entry.reason]
    counts = Counter(category for path in hidden_paths for category in find_hidden_categories(path))
    if hidden_paths:
        counts_text = ", ".join(f"{category} {counts[category]}" for category in CATEGORIES if counts[category])
        categories = ",".join(category for category in CATEGORIES if counts[category])
        yield f"{len(hidden_paths)} operations are {LEFT_OUT} ({counts_text}); --expose {categories} publishes them"
    reserved_count = sum(is_shadowed(route.path) for route in operations.routes)
    if reserved_count:
        yield f"{reserved_count} routes use paths at which the platform itself responds; --expose reserved moves them to other paths"


def _truncate_lines(lines: Sequence[str], advice: str = "") -> list[str]:
    more = len(lines) - _MAX_LINES
    return [*lines[:_MAX_LINES], *([f"… and {more} more{advice}"] if more > 0 else [])]
