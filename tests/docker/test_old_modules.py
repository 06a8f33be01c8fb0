"""A module in the form of before May 2026 is discovered, built and run here; only the platform would refuse it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chutes_wrappers.host.container_engine.docker_engine import DockerEngine
from tests.scenario import OLD_PLACEMENT, Scenario

from . import bases

pytestmark = pytest.mark.docker

WARNED = "! Chutes would reject this: "
TWO_LINES = '    tee=True,\n    node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),\n'


def test_it_goes_all_the_way_here_with_the_lines_to_write(engine: DockerEngine, tmp_path: Path) -> None:
    old = Scenario(tmp_path, "old", bases.image("python3-no-pip"), [9090], placement=OLD_PLACEMENT)
    for output_text in (old.discover(), old.build()):
        assert WARNED in output_text
        assert TWO_LINES in output_text
    with old.running() as chute:
        assert WARNED in chute.command.output_text
        assert TWO_LINES in chute.command.output_text
        assert chute.post("/echo", {"n": 1}).json()["body"] == {"n": 1}
