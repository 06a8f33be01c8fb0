"""A wrapper for Docker images that serve HTTP, to run them on Chutes.ai.

The helpers for deploy modules are attributes of this package, loaded on first use: ``start.py`` and submodules import
nothing else.
"""

import os

# TRACEBACK_SETTINGS of core/layout.py, for this process and its child processes. loguru reads them when it is imported.
os.environ.update({"LOGURU_DIAGNOSE": "NO", "TYPER_STANDARD_TRACEBACK": "1", "_TYPER_STANDARD_TRACEBACK": "1"})

TYPE_CHECKING = False
if TYPE_CHECKING:
    from chutes_wrappers.facade import (
        build_wrapper_image,
        chutes_username,
        load_route_manifest,
        parse_service_ports,
        probe_services,
        register_health_check,
        register_passthrough_routes,
        register_service_launcher,
        register_startup_wait,
        register_tunnel,
        wait_for_services,
    )

__all__ = [
    "build_wrapper_image",
    "chutes_username",
    "load_route_manifest",
    "parse_service_ports",
    "probe_services",
    "register_health_check",
    "register_passthrough_routes",
    "register_service_launcher",
    "register_startup_wait",
    "register_tunnel",
    "wait_for_services",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from chutes_wrappers import facade

    return getattr(facade, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
