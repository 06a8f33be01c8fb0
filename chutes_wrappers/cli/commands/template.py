"""``--template TEMPLATE``: an example module and the service that it wraps, in the current folder."""

from __future__ import annotations

from pathlib import Path

from chutes_wrappers.cli import output
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.modules.templates import copy_template


def copy_to_current_folder(name: str) -> int:
    """Copy the template, report the next command and return 0. Raises ConfigurationError if it cannot be copied."""
    module, *service = copy_template(name, Path.cwd())
    folder = Path(*service[0].relative_to(Path.cwd()).parts[:2])
    path = module.relative_to(Path.cwd())
    output.success(f"{path}: the module; {folder}: its service, {len(service)} files")
    output.report(f"Next: {NAMES.deploy} --emulate {path.with_suffix('')}")
    return 0
