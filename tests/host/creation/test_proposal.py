from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, UnsupportedImage
from chutes_wrappers.host.creation.image_config import parse_image_facts
from chutes_wrappers.host.creation.module_source import build_cost_lines, render_module
from chutes_wrappers.host.creation.proposal import Proposal, name_from_reference, propose
from chutes_wrappers.host.creation.reference import parse_reference


def build_attributes(**config: Any) -> dict[str, Any]:
    return {"Os": "linux", "Architecture": "amd64", "Config": {"Cmd": ["serve"], **config}}


def build_proposal(
    attributes: dict[str, Any],
    reference: str = "vendor/ocr:1",
    *,
    name: str | None = None,
    port: int | None = None,
) -> Proposal:
    return propose(parse_reference(reference), parse_image_facts(reference, attributes, 0), name=name, port=port)


def build_exposing_attributes(*ports: int, **config: Any) -> dict[str, Any]:
    return build_attributes(ExposedPorts={f"{port}/tcp": {} for port in ports}, **config)


def test_exposed_tcp_ports_are_served() -> None:
    exposed: dict[str, Any] = {"9003/tcp": {}, "53/udp": {}, "8080": {}, "7001-7002/tcp": {}}
    assert build_proposal(build_attributes(ExposedPorts=exposed)).ports == (7001, 7002, 8080, 9003)


def test_invalid_exposed_ports_are_omitted_with_a_note() -> None:
    proposal = build_proposal(build_attributes(ExposedPorts={"0/tcp": {}, "99999/tcp": {}, "8080/tcp": {}}))
    assert proposal.ports == (8080,)
    assert proposal.notes == ("EXPOSE 0 is not a valid port: left out", "EXPOSE 99999 is not a valid port: left out")
    with pytest.raises(ConfigurationError, match="EXPOSE 0 is not a valid port"):
        build_proposal(build_attributes(ExposedPorts={"0/tcp": {}}))


def test_many_exposed_ports_require_the_port_option() -> None:
    many = build_attributes(ExposedPorts={"9000-9999/tcp": {}})
    with pytest.raises(ConfigurationError, match="set the port of the service with --port"):
        build_proposal(many)
    assert build_proposal(many, port=9000).ports == (9000,)


@pytest.mark.parametrize("port", [-1, 0, 65536])
def test_an_invalid_port_option_names_the_flag(port: int) -> None:
    with pytest.raises(ConfigurationError, match="--port"):
        build_proposal(build_exposing_attributes(9000), port=port)


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
def test_the_port_is_read_from_the_command_and_the_variables(config: dict[str, Any], port: int) -> None:
    assert build_proposal(build_attributes(**config)).ports == (port,)


def test_an_image_without_a_port_requires_the_port_option() -> None:
    with pytest.raises(ConfigurationError, match="--port"):
        build_proposal(build_attributes())
    assert build_proposal(build_attributes(), port=7000).ports == (7000,)


@pytest.mark.parametrize("variable", ["POSTGRES_PORT=5432", "SUPPORT=7000", "PORT=http", "REDIS_HOST=cache:6379"])
def test_ports_of_other_services_and_invalid_ports_are_not_guessed(variable: str) -> None:
    with pytest.raises(ConfigurationError, match="--port"):
        build_proposal(build_attributes(Env=[variable]))


@pytest.mark.parametrize(
    ("argv", "expected"),
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
def test_only_ports_are_moved_in_a_command(argv: list[str], expected: list[str]) -> None:
    proposal = build_proposal(build_exposing_attributes(8000, Cmd=argv))
    assert proposal.ports == (18000,)
    assert list(proposal.entrypoint) == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (["HTTP_PORT=80", "LIMIT=80", "DB_PORT=80"], {"HTTP_PORT": "8080"}),
        (["BIND=0.0.0.0:80", "DB_HOST=localhost:80"], {"BIND": "0.0.0.0:8080"}),
        (["ASPNETCORE_URLS=http://+:80"], {"ASPNETCORE_URLS": "http://+:8080"}),
    ],
)
def test_a_port_is_moved_by_the_variables_that_contain_it(variables: list[str], expected: dict[str, str]) -> None:
    proposal = build_proposal(build_exposing_attributes(80, Env=variables))
    assert (proposal.ports, dict(proposal.environment), proposal.entrypoint) == ((8080,), expected, ())


def test_a_variable_default_in_the_command_moves_the_port() -> None:
    proposal = build_proposal(
        build_exposing_attributes(80, Cmd=["sh", "-c", "uvicorn app:app --port ${PORT:-80} --workers ${WORKERS:-80}"])
    )
    assert (proposal.ports, dict(proposal.environment), proposal.entrypoint) == ((8080,), {"PORT": "8080"}, ())


@pytest.mark.parametrize(("port", "new_port"), [(1, 8003), (2, 8003), (8000, 18000), (8001, 18001), (8002, 18002)])
def test_a_port_is_never_moved_to_a_reserved_port(port: int, new_port: int) -> None:
    proposal = build_proposal(build_exposing_attributes(port, Env=[f"PORT={port}"]))
    assert (proposal.ports, proposal.environment["PORT"]) == ((new_port,), str(new_port))
    assert not {*proposal.ports} & {*platform_rules.RESERVED_PORTS}


def test_unchanged_ports_come_before_moved_ports() -> None:
    assert build_proposal(build_exposing_attributes(80, 9000, Env=["PORT=80"])).ports == (9000, 8080)


def test_a_port_that_cannot_be_moved_is_rejected_or_omitted_next_to_others() -> None:
    with pytest.raises(UnsupportedImage, match="port 8000"):
        build_proposal(build_exposing_attributes(8000))
    proposal = build_proposal(build_exposing_attributes(8000, 9000))
    assert proposal.ports == (9000,)
    assert "8000" in proposal.notes[0]


@pytest.mark.parametrize(
    "attributes",
    [
        {**build_exposing_attributes(9000), "Architecture": "arm64"},
        {**build_exposing_attributes(9000), "Os": "windows"},
        build_exposing_attributes(9000, Cmd=None),
    ],
)
def test_an_image_that_cannot_run_is_rejected(attributes: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedImage):
        build_proposal(attributes)


def test_a_name_that_belongs_to_a_subnet_is_accepted_with_a_note() -> None:
    proposal = build_proposal(build_exposing_attributes(9000), name="my-glyphs")
    assert proposal.name == "my-glyphs"
    assert "'glyph' belongs to a subnet" in proposal.notes[0]
    assert "--name" in proposal.notes[0]


@pytest.mark.parametrize("name", ["", "ab", "Ocr", "a b", "x" * 66, "-ocr", "o/cr"])
def test_an_invalid_name_names_the_flag(name: str) -> None:
    with pytest.raises(ConfigurationError, match="--name"):
        build_proposal(build_exposing_attributes(9000), name=name)


@pytest.mark.parametrize("name", ["a.b", "1st", "o_c-r"])
def test_a_name_with_every_allowed_character_is_accepted(name: str) -> None:
    assert build_proposal(build_exposing_attributes(9000), name=name).name == name


@given(st.text(st.characters(codec="ascii"), max_size=120))
def test_every_reference_gives_a_valid_name_and_file_name(reference: str) -> None:
    proposal = build_proposal(build_exposing_attributes(9000), name=name_from_reference(reference))
    assert platform_rules.MODULE_FILE.match(proposal.file_name)


def test_the_module_names_what_limits_its_costs() -> None:
    source = render_module(Proposal(reference="vendor/ocr:1", name="case", ports=(9000,)))
    assert all(f"    {line}\n" in source for line in build_cost_lines())
    compile(source, "deploy_case.py", "exec")


def test_the_module_is_valid_python_for_any_image_reference() -> None:
    reference = """x\"\"\"\nraise SystemExit("it's run")\n"""
    source = render_module(Proposal(reference=reference, name="case", ports=(9000,)))
    assert ast.get_docstring(ast.parse(source), clean=False) == f"{reference} as a chute."
    assert not [node for node in ast.parse(source).body if isinstance(node, ast.Raise)]


@given(
    reference=st.from_regex(r"[a-z0-9]{1,9}([._/:-][a-z0-9]{1,9}){0,4}", fullmatch=True),
    value=st.text(max_size=40),
    words=st.lists(st.text(max_size=20), max_size=4),
)
def test_the_module_is_valid_python_with_the_proposed_values(reference: str, value: str, words: list[str]) -> None:
    proposal = Proposal(
        reference=reference,
        name="case",
        ports=(9000, 9001),
        environment={"A": value},
        entrypoint=tuple(words),
    )
    assigned = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(render_module(proposal)).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper()
        if not isinstance(node.value, ast.Call)
    }
    assert assigned["CHUTE_BASE_IMAGE"] == reference
    assert assigned["CHUTE_ENV"] == {"A": value}
    assert assigned.get("ENTRYPOINT", []) == words
    assert assigned["SERVICE_PORTS"] == [9000, 9001]


def test_the_module_has_the_only_placement_that_the_platform_accepts_and_one_comment() -> None:
    source = render_module(build_proposal(build_exposing_attributes(9000)))
    assert f"    {platform_rules.TEE_ARGUMENTS[0]}\n    {platform_rules.TEE_ARGUMENTS[1]}\n" in source
    assert source.count("TEE") == 1
