from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, UnsupportedImage
from chutes_wrappers.host.creation.image_config import facts
from chutes_wrappers.host.creation.module_source import source
from chutes_wrappers.host.creation.proposal import Proposal, name_of, propose
from chutes_wrappers.host.creation.reference import parse


def image(**config: Any) -> dict[str, Any]:
    return {"Os": "linux", "Architecture": "amd64", "Config": {"Cmd": ["serve"], **config}}


def proposed(
    attributes: dict[str, Any],
    reference: str = "vendor/ocr:1",
    *,
    name: str | None = None,
    port: int | None = None,
) -> Proposal:
    return propose(parse(reference), facts(reference, attributes, 0), name=name, port=port)


def exposing(*ports: int, **config: Any) -> dict[str, Any]:
    return image(ExposedPorts={f"{port}/tcp": {} for port in ports}, **config)


def test_exposed_tcp_ports_are_served() -> None:
    exposed: dict[str, Any] = {"9003/tcp": {}, "53/udp": {}, "8080": {}, "7001-7002/tcp": {}}
    assert proposed(image(ExposedPorts=exposed)).ports == (7001, 7002, 8080, 9003)


def test_what_is_no_port_is_left_out_and_said() -> None:
    made = proposed(image(ExposedPorts={"0/tcp": {}, "99999/tcp": {}, "8080/tcp": {}}))
    assert made.ports == (8080,)
    assert made.notes == ("EXPOSE 0 is no port: left out", "EXPOSE 99999 is no port: left out")
    with pytest.raises(ConfigurationError, match="EXPOSE 0 is no port"):
        proposed(image(ExposedPorts={"0/tcp": {}}))


def test_of_many_ports_one_is_asked_for() -> None:
    many = image(ExposedPorts={"9000-9999/tcp": {}})
    with pytest.raises(ConfigurationError, match="say with --port"):
        proposed(many)
    assert proposed(many, port=9000).ports == (9000,)


@pytest.mark.parametrize("port", [-1, 0, 65536])
def test_a_wish_that_is_no_port_names_the_flag(port: int) -> None:
    with pytest.raises(ConfigurationError, match="--port"):
        proposed(exposing(9000), port=port)


@pytest.mark.parametrize(
    ("config", "port"),
    [
        ({"Cmd": ["serve", "--port", "7860"]}, 7860),
        ({"Cmd": ["serve", "--port=7860"]}, 7860),
        ({"Entrypoint": ["gunicorn", "-b", "0.0.0.0:7861"], "Cmd": None}, 7861),
        ({"Env": ["A=1", "PORT=7862"]}, 7862),
        ({"Env": ["ADMIN_PORT=1", "PORT=7862", "POSTGRES_PORT=5432"]}, 7862),
        ({"Env": ["DB_PORT=5432", "SUPPORT=1", "SERVE_PORT=7863"]}, 7863),
        ({"Env": ["OLLAMA_HOST=0.0.0.0:7864"]}, 7864),
        ({"Cmd": ["/bin/sh", "-c", "exec srv --port 7865 --quiet"]}, 7865),
    ],
)
def test_an_image_that_exposes_nothing_names_its_port_elsewhere(config: dict[str, Any], port: int) -> None:
    assert proposed(image(**config)).ports == (port,)


def test_without_any_port_it_is_asked_for() -> None:
    with pytest.raises(ConfigurationError, match="--port"):
        proposed(image())
    assert proposed(image(), port=7000).ports == (7000,)


@pytest.mark.parametrize("variable", ["POSTGRES_PORT=5432", "SUPPORT=7000", "PORT=http", "REDIS_HOST=cache:6379"])
def test_ports_of_other_services_and_no_ports_are_not_guessed(variable: str) -> None:
    with pytest.raises(ConfigurationError, match="--port"):
        proposed(image(Env=[variable]))


@pytest.mark.parametrize(
    ("argv", "moved"),
    [
        (["serve", "--port", "8000", "--workers", "8000"], ["serve", "--port", "18000", "--workers", "8000"]),
        (["serve", "--port=8000"], ["serve", "--port=18000"]),
        (["serve", "-p", "8000", "--max=8000"], ["serve", "-p", "18000", "--max=8000"]),
        (["serve", "-b", "api:8000", "db:8000"], ["serve", "-b", "api:18000", "db:8000"]),
        (["serve", "0.0.0.0:8000", ":8000", "a:b:8000"], ["serve", "0.0.0.0:18000", ":18000", "a:b:8000"]),
        (["serve", "--url=http://[::]:8000/v1"], ["serve", "--url=http://[::]:18000/v1"]),
        (["sh", "-c", "exec srv --port 8000 -n 8000"], ["sh", "-c", "exec srv --port 18000 -n 8000"]),
        (["sh", "-c", "srv --bind 'api:80001' --port=8000"], ["sh", "-c", "srv --bind 'api:80001' --port=18000"]),
    ],
)
def test_only_what_is_a_port_is_moved_in_a_command(argv: list[str], moved: list[str]) -> None:
    made = proposed(exposing(8000, Cmd=argv))
    assert made.ports == (18000,)
    assert list(made.entrypoint) == moved


@pytest.mark.parametrize(
    ("variables", "moved"),
    [
        (["HTTP_PORT=80", "LIMIT=80", "DB_PORT=80"], {"HTTP_PORT": "8080"}),
        (["BIND=0.0.0.0:80", "DB_HOST=localhost:80"], {"BIND": "0.0.0.0:8080"}),
        (["ASPNETCORE_URLS=http://+:80"], {"ASPNETCORE_URLS": "http://+:8080"}),
    ],
)
def test_a_port_is_moved_by_the_variables_that_name_it(variables: list[str], moved: dict[str, str]) -> None:
    made = proposed(exposing(80, Env=variables))
    assert (made.ports, dict(made.environment), made.entrypoint) == ((8080,), moved, ())


def test_a_variable_that_only_the_command_knows_moves_the_port() -> None:
    made = proposed(exposing(80, Cmd=["sh", "-c", "uvicorn app:app --port ${PORT:-80} --workers ${WORKERS:-80}"]))
    assert (made.ports, dict(made.environment), made.entrypoint) == ((8080,), {"PORT": "8080"}, ())


@pytest.mark.parametrize(("port", "moved"), [(1, 8003), (2, 8003), (8000, 18000), (8001, 18001), (8002, 18002)])
def test_a_port_is_moved_off_and_never_onto_one_of_the_platforms(port: int, moved: int) -> None:
    made = proposed(exposing(port, Env=[f"PORT={port}"]))
    assert (made.ports, made.environment["PORT"]) == ((moved,), str(moved))
    assert not {*made.ports} & {*platform_rules.RESERVED_PORTS}


def test_ports_that_stay_come_before_those_that_are_moved() -> None:
    assert proposed(exposing(80, 9000, Env=["PORT=80"])).ports == (9000, 8080)


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
    ("variable", "found"),
    [
        ("CUDA_VERSION=12.4.1", "12.4"),
        ("NVIDIA_REQUIRE_CUDA=cuda>=12.6 brand=tesla,driver>=470", "12.6"),
        ("NV_CUDA_CUDART_VERSION=11.8.89-1", "11.8"),
        ("CUDA_VERSION=12.8.0", ""),
        ("CUDA_VERSION=13.0.0", ""),
        ("LANG=C", ""),
    ],
)
def test_a_cuda_that_the_platforms_gpu_cannot_run_is_noted(variable: str, found: str) -> None:
    notes = proposed(exposing(9000, Env=[variable])).notes
    expected = (f"it has CUDA {found}; the platform's GPU, pro_6000, needs 12.8 or newer",) if found else ()
    assert notes == expected


def test_a_name_that_belongs_to_a_subnet_is_taken_with_a_note() -> None:
    made = proposed(exposing(9000), name="my-glyphs")
    assert made.name == "my-glyphs"
    assert "'glyph' belongs to a subnet" in made.notes[0]
    assert "--name" in made.notes[0]


@pytest.mark.parametrize("name", ["", "ab", "Ocr", "a b", "x" * 66, "-ocr", "o/cr"])
def test_a_name_that_no_chute_can_have_names_the_flag(name: str) -> None:
    with pytest.raises(ConfigurationError, match="--name"):
        proposed(exposing(9000), name=name)


@pytest.mark.parametrize("name", ["a.b", "1st", "o_c-r"])
def test_a_name_of_every_character_that_the_message_allows_is_taken(name: str) -> None:
    assert proposed(exposing(9000), name=name).name == name


@given(st.text(st.characters(codec="ascii"), max_size=120))
def test_every_reference_gives_a_name_and_a_module_that_the_platform_takes(reference: str) -> None:
    made = proposed(exposing(9000), name=name_of(reference))
    assert platform_rules.MODULE_FILE.match(made.file_name)


def test_the_module_is_python_whatever_its_image_is_called() -> None:
    reference = """x\"\"\"\nraise SystemExit("it's run")\n"""
    made = source(Proposal(reference=reference, name="case", ports=(9000,)))
    assert ast.get_docstring(ast.parse(made), clean=False) == f"{reference} as a chute."
    assert not [node for node in ast.parse(made).body if isinstance(node, ast.Raise)]


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


def test_the_module_has_the_one_form_that_the_platform_takes_and_says_why_once() -> None:
    made = source(proposed(exposing(9000)))
    assert f"    {platform_rules.TEE_ARGUMENTS[0]}\n    {platform_rules.TEE_ARGUMENTS[1]}\n" in made
    assert made.count("TEE") == 1
