"""Differences between a service and its manifest. Pure."""

from __future__ import annotations

from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.core.routes import Route

# The facts that define how the image runs. Other facts vary with the run (which files were written) or with the registry
# (the digest).
_LAUNCH_FACTS = ("entrypoint", "cmd", "working_dir", "user", "exposed_ports")


def find_differences(recorded: Manifest, current: Manifest) -> tuple[str, ...]:
    """Return one line for each new, removed or changed route in ``current``, and for each changed fact of its image; sorted."""
    before, after = _index_by_call(recorded), _index_by_call(current)
    lines = [f"gone: {name}" for name in before.keys() - after.keys()]
    lines += [f"new: {name}" for name in after.keys() - before.keys()]
    for name in before.keys() & after.keys():
        changed = _find_changed_keys(before[name], after[name])
        if changed:
            lines.append(f"changed: {name}: {', '.join(changed)}")
    if recorded.image is not None and current.image is not None:
        for fact in _LAUNCH_FACTS:
            if getattr(recorded.image, fact) != getattr(current.image, fact):
                lines.append(f"changed: the image's {fact}")
    return tuple(sorted(lines))


def is_only_hidden(recorded: Manifest, current: Manifest) -> bool:
    """Return whether all routes that are missing from ``current`` are skipped there: another ``--expose`` published them."""
    removed = _index_by_call(recorded).keys() - _index_by_call(current).keys()
    hidden = {(each.method, each.path, each.port) for each in current.skipped}
    calls = [
        (route.upstream_method, route.target_path, route.port)
        for name, route in _index_by_call(recorded).items()
        if name in removed
    ]
    return bool(calls) and hidden.issuperset(calls)


def _index_by_call(manifest: Manifest) -> dict[str, Route]:
    return {f"{route.method} {route.path} (port {route.port})": route for route in manifest.routes}


def _find_changed_keys(before: Route, after: Route) -> list[str]:
    old, new = before.to_entry(), after.to_entry()
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
