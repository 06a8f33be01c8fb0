"""How a service differs from its manifest. Pure."""

from __future__ import annotations

from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.core.routes import Route

# What tells how the image runs. Others of its facts vary with the run: which files were written, for instance.
_LAUNCH_FACTS = ("digest", "entrypoint", "cmd", "working_dir", "user", "exposed_ports")


def differences(known: Manifest, found: Manifest) -> tuple[str, ...]:
    """One line for each route that is new, gone or different in ``found``, and each changed fact of its image; sorted."""
    before, after = _by_call(known), _by_call(found)
    lines = [f"gone: {name}" for name in before.keys() - after.keys()]
    lines += [f"new: {name}" for name in after.keys() - before.keys()]
    for name in before.keys() & after.keys():
        changed = _changed(before[name], after[name])
        if changed:
            lines.append(f"changed: {name}: {', '.join(changed)}")
    if known.image is not None and found.image is not None:
        for fact in _LAUNCH_FACTS:
            if getattr(known.image, fact) != getattr(found.image, fact):
                lines.append(f"changed: the image's {fact}")
    return tuple(sorted(lines))


def _by_call(manifest: Manifest) -> dict[str, Route]:
    return {f"{route.method} {route.path} (port {route.port})": route for route in manifest.routes}


def _changed(before: Route, after: Route) -> list[str]:
    old, new = before.entry(), after.entry()
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
