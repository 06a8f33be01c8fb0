from __future__ import annotations

from chutes_wrappers.cli.commands.run_docker import build_dev_run_spec


def test_the_container_has_the_limits_of_an_instance() -> None:
    spec = build_dev_run_spec("wrapped:v1", "deploy_x:chute")
    assert spec.command == ["chutes", "run", "deploy_x:chute", "--dev", "--port", "8000"]
    assert spec.user == "1000:1000"
    assert {*spec.empty_volumes} == {"/tmp", "/cache"}
    assert spec.shm_bytes == 16 * 2**30


def test_it_cannot_bind_the_ports_that_an_instance_cannot() -> None:
    assert build_dev_run_spec("wrapped:v1", "deploy_x:chute").sysctls == {"net.ipv4.ip_unprivileged_port_start": "1024"}
