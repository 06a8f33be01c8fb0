"""The documented helpers, their names and signatures."""

from __future__ import annotations

import inspect

import pytest

from tools import chute_wrappers

SIGNATURES = {
    "build_wrapper_image": "username, name, tag, base_image, *, python_version='3.12', readme='', env=None, "
    "entrypoint=None, autostart=True, writable_paths=(), slim=False, cuda_libraries=False",
    "chutes_username": "",
    "load_route_manifest": "static_routes=None",
    "parse_service_ports": "env_value=None",
    "probe_services": "ports, timeout=5",
    "register_health_check": "chute, ports, path='/health', timeout=5",
    "register_passthrough_routes": "chute, routes, default_port, *, public_methods=('GET', 'POST')",
    "register_service_launcher": "chute, entrypoint, ports, host='127.0.0.1', timeout=600, soft_fail=True, env=None",
    "register_startup_wait": "chute, ports, timeout=600, host='127.0.0.1', soft_fail=False",
    "register_tunnel": "chute, ports",
    "wait_for_services": "ports, timeout=600, *, host='127.0.0.1', soft_fail=False",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_helper_has_the_documented_signature(name: str) -> None:
    signature = inspect.signature(getattr(chute_wrappers, name))
    bare = signature.replace(
        parameters=[
            parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()
        ],
        return_annotation=inspect.Signature.empty,
    )
    assert str(bare) == f"({SIGNATURES[name]})"


def test_nothing_else_is_exported() -> None:
    assert chute_wrappers.__all__ == sorted(SIGNATURES)
    assert {name for name in vars(chute_wrappers) if not name.startswith("_")} == {*SIGNATURES}
