"""``chutes run --dev`` on a developer's machine, guarded from the start: ``start.py chutes_wrappers.sdk.dev_run:main run …``.

The guard also protects a module that uses none of our helpers, and the SDK's log server while a module is still loading.
"""

from __future__ import annotations

from chutes.cli import app

from chutes_wrappers.sdk.dev_guard import install_guard


def main() -> None:
    """Run the SDK's command line with the arguments of this process, behind the guard."""
    install_guard()
    app()
