"""Modules that the SDK loads in a child process, and the errors of those that fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.modules import loading
from chutes_wrappers.host.modules.definition import describe_staged_module
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.staging import create_stage

MODULE = """
import os, subprocess, sys
from chutes.chute import Chute, NodeSelector
from tools.chute_wrappers import build_wrapper_image, load_route_manifest, register_passthrough_routes

CHUTE_STATIC_ROUTES = [{"path": "/fine"}, {"path": "/wrong", "port": 0}][:ROUTES]
image = build_wrapper_image("tester", "case", "v1", "vendor/case:1", env={"KEY": "value"})
chute = Chute(
    username="tester", name="case", image=image,
    tee=True, node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),
)
register_passthrough_routes(chute, load_route_manifest(static_routes=CHUTE_STATIC_ROUTES), 8020)
"""


def describe_source(folder: Path, source: str, report: list[str] | None = None) -> dict[str, object]:
    path = folder / "deploy_case.py"
    path.write_text(source)
    facts = ModuleFacts(path=path, chute_name="case", chute_tag="v1", base_image="vendor/case:1", service_ports=(8020,))
    with create_stage(facts, Manifest(routes=(Route(path="/found"),)), username="tester") as stage:
        return describe_staged_module(stage, report.append if report is not None else lambda line: None)


def expect_failure(folder: Path, source: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        describe_source(folder, source)
    assert "chutes-wrappers-" not in str(caught.value), "a staging path"
    assert str(folder / "deploy_case.py") in str(caught.value)
    assert caught.value.next_step
    return caught.value


def test_output_of_the_module_does_not_reach_the_result(tmp_path: Path) -> None:
    noise = "print('{')\nos.write(1, b'noise')\nsubprocess.run([sys.executable, '-c', 'print(7)'])\n"
    cords = describe_source(tmp_path, MODULE.replace("ROUTES]", "1]") + noise)["cords"]
    assert isinstance(cords, list)
    assert [cord["public_api_path"] for cord in cords] == ["/found", "/fine"]


def test_the_description_has_the_targets_of_a_cord(tmp_path: Path) -> None:
    cord = "chute.cord(path='/own', passthrough=True, passthrough_path='/up', passthrough_port=9000)(lambda self: 1)\n"
    cords = describe_source(tmp_path, MODULE.replace("ROUTES]", "0]") + cord)["cords"]
    assert isinstance(cords, list)
    assert (cords[-1]["passthrough_path"], cords[-1]["passthrough_port"]) == ("/up", 9000)


@pytest.mark.parametrize("line", ["sys.exit(0)", "os._exit(0)"])
def test_a_module_that_ends_the_process_is_reported(tmp_path: Path, line: str) -> None:
    assert "ended the process itself" in str(expect_failure(tmp_path, f"import os, sys\n{line}\n"))


def test_a_wrapper_error_in_the_module_names_the_users_file(tmp_path: Path) -> None:
    error = expect_failure(tmp_path, MODULE.replace("ROUTES]", "2]"))
    assert "static routes, route 1: `port` = 0" in str(error)
    assert error.evidence is None


def test_a_traceback_names_the_users_file(tmp_path: Path) -> None:
    assert f'File "{tmp_path}/deploy_case.py", line 1' in str(
        expect_failure(tmp_path, "raise RuntimeError('no such luck')\n")
    )


def test_an_error_without_a_location_names_the_module(tmp_path: Path) -> None:
    error = expect_failure(tmp_path, MODULE.replace('"case", "v1"', '"case", "v"').replace("ROUTES]", "0]"))
    assert "the image tag: 'v'" in str(error)


def test_a_module_that_hangs_is_reported_and_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "LOAD_TIMEOUT_S", 3.0)
    reports: list[str] = []
    with pytest.raises(ConfigurationError, match=r"deploy_case\.py: .* timed out after 3 s"):
        describe_source(tmp_path, "import time\ntime.sleep(60)\n", reports)
    assert reports == ["loading deploy_case.py (at most 3 s)"]
