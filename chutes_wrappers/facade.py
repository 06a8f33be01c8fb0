"""The helpers for deploy modules, under the names in the documentation.

Modules import them from ``tools.chute_wrappers``. ``chutes_wrappers`` itself has them too, and loads them on first use.
"""

from chutes_wrappers.runtime.startup import parse_service_ports, probe_services, wait_for_services
from chutes_wrappers.sdk.cords import register_passthrough_routes
from chutes_wrappers.sdk.image import build_wrapper_image
from chutes_wrappers.sdk.legacy import register_health_check, register_service_launcher, register_startup_wait
from chutes_wrappers.sdk.route_source import load_route_manifest
from chutes_wrappers.sdk.tunnel_cord import register_tunnel
from chutes_wrappers.sdk.username import chutes_username

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
