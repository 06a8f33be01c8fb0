from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, UnsupportedImage
from chutes_wrappers.host.creation.code import source
from chutes_wrappers.host.creation.proposal import Proposal, name_of, propose


def image(**config: Any) -> dict[str, Any]:
    return {"Os": "linux", "Architecture": "amd64", "Config": {"Cmd": ["serve"], **config}}


def proposed(attributes: dict[str, Any], reference: str = "vendor/ocr:1", **wishes: Any) -> Proposal:
    return propose(reference, attributes, **{"name": None, "port": None, "size_bytes": 0, **wishes})


def exposing(*ports: int, **config: Any) -> dict[str, Any]:
    return image(ExposedPorts={f"{port}/tcp": {} for port in ports}, **config)


def test_exposed_tcp_ports_are_served() -> None:
    assert proposed(image(ExposedPorts={"9003/tcp": {}, "53/udp": {}, "8080": {}})).ports == (8080, 9003)


@pytest.mark.parametrize(
    ("config", "port"),
    [
        ({"Cmd": ["serve", "--port", "7860"]}, 7860),
        ({"Cmd": ["serve", "--port=7860"]}, 7860),
        ({"Entrypoint": ["gunicorn", "-b", "0.0.0.0:7861"], "Cmd": None}, 7861),
        ({"Env": ["A=1", "PORT=7862"]}, 7862),
    ],
)
def test_an_image_that_exposes_nothing_names_its_port_elsewhere(config: dict[str, Any], port: int) -> None:
    assert proposed(image(**config)).ports == (port,)


def test_without_any_port_it_is_asked_for() -> None:
    with pytest.raises(ConfigurationError, match="--port"):
        proposed(image())
    assert proposed(image(), port=7000).ports == (7000,)


def test_a_port_of_the_chutes_own_is_moved_by_the_arguments_or_the_variables() -> None:
    by_argument = proposed(exposing(8000, Cmd=["serve", "--port", "8000", "--workers", "8000x"]))
    assert by_argument.ports == (18000,)
    assert by_argument.entrypoint == ("serve", "--port", "18000", "--workers", "8000x")
    by_variable = proposed(exposing(80, Env=["HTTP_PORT=80"]))
    assert (by_variable.ports, dict(by_variable.environment)) == ((8080,), {"HTTP_PORT": "8080"})
    assert by_variable.entrypoint == ()


def test_a_port_that_nothing_moves_is_refused_or_left_out_beside_others() -> None:
    with pytest.raises(UnsupportedImage, match="port 8000"):
        proposed(exposing(8000))
    beside = proposed(exposing(8000, 9000))
    assert beside.ports == (9000,)
    assert "8000" in beside.notes[0]


@pytest.mark.parametrize(
    "attributes",
    [
        {**exposing(9000), "Architecture": "arm64"},
        {**exposing(9000), "Os": "windows"},
        exposing(9000, Cmd=None),
    ],
)
def test_what_can_never_run_is_refused(attributes: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedImage):
        proposed(attributes)


@pytest.mark.parametrize(
    ("reference", "config", "size_bytes", "gigabytes"),
    [
        ("vendor/ocr:1", {}, 0, 16),
        ("vendor/ocr:1", {"Env": ["CUDA_VERSION=12.4"]}, 0, 24),
        ("vendor/ocr:1", {"Labels": {"com.nvidia.volumes.needed": "nvidia_driver"}}, 20 * 1024**3, 48),
        ("vllm/vllm-openai:v1", {"Env": ["CUDA_VERSION=12.4"]}, 0, 48),
    ],
)
def test_the_gpu_is_as_large_as_the_image_hints(
    reference: str, config: dict[str, Any], size_bytes: int, gigabytes: int
) -> None:
    assert proposed(exposing(9000, **config), reference, size_bytes=size_bytes).vram_gb == gigabytes


@pytest.mark.parametrize("name", ["", "ab", "Ocr", "a b", "x" * 66, "-ocr", "o/cr"])
def test_a_name_that_the_platform_refuses_names_the_flag(name: str) -> None:
    with pytest.raises(ConfigurationError, match="--name"):
        proposed(exposing(9000), name=name)


@given(st.text(st.characters(codec="ascii"), max_size=120))
def test_every_reference_gives_a_name_and_a_module_that_the_platform_takes(reference: str) -> None:
    made = proposed(exposing(9000), reference)
    assert made.name == name_of(reference)
    assert platform_rules.MODULE_FILE.match(made.file_name)


@given(
    reference=st.from_regex(r"[a-z0-9]{1,9}([._/:-][a-z0-9]{1,9}){0,4}", fullmatch=True),
    value=st.text(max_size=40),
    words=st.lists(st.text(max_size=20), max_size=4),
)
def test_the_module_is_python_that_says_what_was_proposed(reference: str, value: str, words: list[str]) -> None:
    proposal = Proposal(
        reference=reference,
        name="case",
        ports=(9000, 9001),
        vram_gb=16,
        reason="",
        environment={"A": value},
        entrypoint=tuple(words),
    )
    assigned = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(source(proposal)).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper()
        if not isinstance(node.value, ast.Call)
    }
    assert assigned["CHUTE_BASE_IMAGE"] == reference
    assert assigned["CHUTE_ENV"] == {"A": value}
    assert assigned.get("ENTRYPOINT", []) == words
    assert assigned["SERVICE_PORTS"] == [9000, 9001]
