"""A module that the platform accepts, to be changed in one respect."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.preflight.preflight import find_problems
from chutes_wrappers.host.preflight.problem import Problem

CODE = "from tools.chute_wrappers import build_wrapper_image\n"
FACTS = ModuleFacts(
    path=Path("/x/deploy_case.py"), chute_name="case", chute_tag="v1", base_image="base", service_ports=(8020,)
)


def build_cord(**changes: Any) -> dict[str, Any]:
    """Return a cord as ``sdk/describe.py`` describes it."""
    return {
        "function": "speak",
        "path": "/speak",
        "public_api_path": "/v1/speak-now",
        "public_api_method": "POST",
        "stream": False,
        **changes,
    }


def build_description(**changes: Any) -> dict[str, Any]:
    """Return a chute as ``sdk/describe.py`` describes it."""
    return {
        "image": {"name": "case", "tag": "v1", "holds_toolkit": True, "env": [], "bases": ["vendor/case:1"]},
        "name": "case",
        "tagline": "",
        "readme": "",
        "tee": True,
        "node_selector": {
            "gpu_count": 1,
            "min_vram_gb_per_gpu": 16,
            "max_hourly_price_per_gpu": None,
            "include": ["pro_6000"],
            "exclude": None,
        },
        "concurrency": 8,
        "max_instances": 1,
        "scaling_threshold": 0.75,
        "shutdown_after_seconds": 300,
        "cords": [build_cord()],
        **changes,
    }


def check_module(
    *, code: str = CODE, username: str = "tester", path: str = "/x/deploy_case.py", env: Any = None, **changes: Any
) -> list[Problem]:
    """Return the problems of the module, with ``changes`` in its description."""
    facts = replace(FACTS, path=Path(path), env=env or {})
    return find_problems(facts, build_description(**changes), code, username=username)


def assert_one_problem(
    problems: list[Problem], *words: str, severity: str = "rejected", rule: str | None = None
) -> None:
    """Assert that there is one problem, with these words in its text, and a fix; of this ``rule``, if it is given."""
    assert len(problems) == 1, problems
    (problem,) = problems
    for word in words:
        assert word in f"{problem}\n{problem.fix}"
    assert problem.fix
    assert problem.severity == severity
    assert rule in (None, problem.rule)
