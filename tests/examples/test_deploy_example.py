"""The template: the values that the tools read from it match the sample that it wraps."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.core.cord_plan import plan_cords
from chutes_wrappers.core.manifest import parse_routes
from examples.morse.morse import listener
from examples.morse.morse.settings import Settings, read_settings

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "deploy_example.py"
DOCKERFILE = (ROOT / "examples" / "morse" / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def variables() -> dict[str, Any]:
    """The template's constants, without its image and its chute."""
    constants = [
        node
        for node in ast.parse(TEMPLATE.read_text()).body
        if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Call)
    ]
    namespace: dict[str, Any] = {}
    exec(compile(ast.Module(body=list(constants), type_ignores=[]), str(TEMPLATE), "exec"), namespace)
    return namespace


def test_names_are_valid_on_the_platform(variables: dict[str, Any]) -> None:
    assert platform_rules.MODULE_FILE.match(TEMPLATE.name)
    assert platform_rules.CHUTE_NAME.match(variables["CHUTE_NAME"])
    assert platform_rules.IMAGE_NAME.match(variables["CHUTE_NAME"])
    assert "from __future__ import annotations\n" not in TEMPLATE.read_text()


@pytest.mark.parametrize(
    "module", [TEMPLATE, *sorted((ROOT / "examples").glob("deploy_*.py"))], ids=lambda path: path.stem
)
def test_every_module_has_the_only_placement_that_the_platform_accepts(module: Path) -> None:
    text = module.read_text()
    comment, *arguments = text[: text.index(platform_rules.TEE_ARGUMENTS[1])].splitlines()[-3:-1]
    assert comment.strip().startswith("# Chutes accepts only confidential (TEE) chutes")
    assert [line.strip() for line in arguments] == [platform_rules.TEE_ARGUMENTS[0]]
    assert (text.count("NodeSelector("), text.count("TEE")) == (1, 1)


def test_ports_and_variables_match_the_sample(variables: dict[str, Any]) -> None:
    defaults = Settings()
    assert variables["SERVICE_PORTS"] == [defaults.speaker_port, defaults.listener_port]
    assert re.findall(r"EXPOSE (.*)", DOCKERFILE) == ["8020 8080"]
    assert not [port for port in variables["SERVICE_PORTS"] if platform_checks.find_service_port_problem(port)]
    heard = read_settings(variables["CHUTE_ENV"])
    assert (heard.wpm, heard.frequency) == (18, 650)


def test_static_routes_lead_to_routes_of_the_listener(variables: dict[str, Any]) -> None:
    routes = parse_routes(variables["CHUTE_STATIC_ROUTES"], where="CHUTE_STATIC_ROUTES")
    served = {(route.method, route.path) for route in listener.build_service().routes}
    assert {(route.upstream_method, route.target_path) for route in routes} <= served
    plan = plan_cords(routes, variables["SERVICE_PORTS"][0])
    assert (len(plan.cords), plan.skipped, plan.warnings) == (len(routes), (), ())


def test_every_variable_that_modules_may_set_is_shown(variables: dict[str, Any]) -> None:
    names = {"CHUTE_NAME", "CHUTE_TAG", "CHUTE_BASE_IMAGE", "SERVICE_PORTS", "CHUTE_ENV", "CHUTE_STATIC_ROUTES"}
    assert names | {"CHUTE_TAGLINE"} <= variables.keys()
    assert "\n# ENTRYPOINT = " in TEMPLATE.read_text()
