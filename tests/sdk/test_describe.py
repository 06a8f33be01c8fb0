from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from chutes.chute import Chute, NodeSelector
from chutes.image import Image

from chutes_wrappers.core.errors import ConfigurationError
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


def describe_image(image: Any) -> dict[str, Any]:
    result: dict[str, Any] = describe(Chute(username="tester", name="case", image=image))["image"]
    return result


def test_the_description_has_what_the_deployment_uploads(load_module: Loader) -> None:
    description = describe(load_module(WRAPPED).chute)
    assert (description["name"], description["readme"], description["tagline"]) == ("case", "r", "t")
    assert (description["node_selector"]["gpu_count"], description["node_selector"]["min_vram_gb_per_gpu"]) == (1, 16)
    assert (description["tee"], description["node_selector"]["include"]) == (True, ["pro_6000"])
    assert json.loads(json.dumps(description)) == description


def test_a_number_that_was_set_after_the_check_of_the_sdk_is_described() -> None:
    selector = NodeSelector()
    selector.gpu_count = 9
    assert describe(Chute(username="t", name="c", image="i", node_selector=selector))["node_selector"]["gpu_count"] == 9


def test_a_wrapped_image_holds_the_toolkit_and_its_variables_are_listed_by_name(load_module: Loader) -> None:
    description = describe(load_module(WRAPPED).chute)
    assert description["image"]["holds_toolkit"] is True
    assert "HF_TOKEN" in description["image"]["env"]
    assert "hf_do_not_show" not in json.dumps(description)


def test_a_plain_image_does_not_hold_it() -> None:
    image = Image(username="tester", name="case", tag="v1").from_base("vendor/tools:1").with_env("A", "b c")
    image.run_command("pip install tools")
    assert describe_image(image) == {
        "username": "tester",
        "name": "case",
        "tag": "v1",
        "dockerfile": hashlib.sha256(str(image).encode()).hexdigest(),
        "holds_toolkit": False,
        "env": ["A"],
        "bases": ["vendor/tools:1"],
    }


@pytest.mark.usefixtures("load_module")
@pytest.mark.parametrize("source", ["tools", "chutes_wrappers", "."])
def test_an_image_that_the_module_adds_it_to_holds_it(source: str) -> None:
    assert describe_image(Image(username="tester", name="case", tag="v1").add(source, "/app"))["holds_toolkit"] is True


def test_it_is_unknown_whether_an_image_reference_holds_the_toolkit() -> None:
    assert describe_image("tester/case:v1") == {
        "username": None,
        "name": "tester/case:v1",
        "tag": "",
        "holds_toolkit": None,
        "env": [],
        "bases": [],
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"concurrency": {8}}, "the SDK cannot upload concurrency: Object of type set is not JSON serializable"),
        ({"node_selector": {"gpu_count": 1}}, "node_selector is of type dict, not a NodeSelector"),
        ({"name": 5}, "the chute's name is 5, not a text"),
    ],
)
def test_an_argument_that_the_sdk_cannot_upload_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        describe(Chute(**{"username": "t", "name": "case", "image": "i", **arguments}))
    assert message in str(caught.value)
    assert caught.value.next_step


def test_a_number_that_is_not_finite_and_a_job_are_described() -> None:
    selector = NodeSelector()
    selector.max_hourly_price_per_gpu = float("nan")
    chute = Chute(username="t", name="case", image="i", node_selector=selector)
    chute.job()(train)
    description = json.loads(json.dumps(describe(chute)))
    assert str(description["node_selector"]["max_hourly_price_per_gpu"]) == "nan"
    assert description["jobs"] == ["train"]


async def train(self: Any) -> None:
    """A job of a chute."""
