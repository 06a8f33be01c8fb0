from __future__ import annotations

import json
from typing import Any

import pytest
from chutes.chute import Chute, NodeSelector
from chutes.image import Image

from chutes_wrappers.sdk.describe import describe

from .conftest import Loader

WRAPPED = """
from chutes.chute import Chute, NodeSelector
from tools.chute_wrappers import build_wrapper_image

image = build_wrapper_image("tester", "case", "v1", "base", env={"HF_TOKEN": "hf_do_not_show"})
chute = Chute(
    username="tester", name="case", image=image, readme="r", tagline="t",
    tee=True, node_selector=NodeSelector(gpu_count=1, include=["pro_6000"]),
)
"""


def of_image(image: Any) -> dict[str, Any]:
    described: dict[str, Any] = describe(Chute(username="tester", name="case", image=image))["image"]
    return described


def test_what_the_deployment_uploads_is_told(load_module: Loader) -> None:
    said = describe(load_module(WRAPPED).chute)
    assert (said["name"], said["readme"], said["tagline"]) == ("case", "r", "t")
    assert (said["node_selector"]["gpu_count"], said["node_selector"]["min_vram_gb_per_gpu"]) == (1, 16)
    assert (said["tee"], said["node_selector"]["include"]) == (True, ["pro_6000"])
    assert json.loads(json.dumps(said)) == said


def test_a_number_that_was_set_after_the_sdk_looked_is_told() -> None:
    selector = NodeSelector()
    selector.gpu_count = 9
    assert describe(Chute(username="t", name="c", image="i", node_selector=selector))["node_selector"]["gpu_count"] == 9


def test_a_wrapped_image_holds_the_toolkit_and_its_variables_are_told_by_name(load_module: Loader) -> None:
    said = describe(load_module(WRAPPED).chute)
    assert said["image"]["holds_toolkit"] is True
    assert "HF_TOKEN" in said["image"]["env"]
    assert "hf_do_not_show" not in json.dumps(said)


def test_a_plain_image_does_not_hold_it() -> None:
    image = Image(username="tester", name="case", tag="v1").from_base("vendor/tools:1").with_env("A", "b c")
    image.run_command("pip install tools")
    assert of_image(image) == {"name": "case", "tag": "v1", "holds_toolkit": False, "env": ["A"]}


@pytest.mark.usefixtures("load_module")
@pytest.mark.parametrize("source", ["tools", "chutes_wrappers", "."])
def test_an_image_that_the_module_adds_it_to_holds_it(source: str) -> None:
    assert of_image(Image(username="tester", name="case", tag="v1").add(source, "/app"))["holds_toolkit"] is True


def test_of_an_image_that_is_only_named_it_is_not_known() -> None:
    assert of_image("tester/case:v1") == {"name": "tester/case:v1", "tag": "", "holds_toolkit": None, "env": []}
