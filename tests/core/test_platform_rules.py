from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.exposure import hidden_by

# As it stands in the SDK (chute/cord.py).
SDK_PATTERN = re.compile(r"^(/[a-z0-9_]+[a-z0-9-_]*)+$")


@pytest.mark.parametrize(
    ("gpu_count", "include", "is_taken"),
    [
        (1, ["pro_6000"], True),
        (1, ["PRO_6000"], True),
        (2, ["pro_6000"], False),
        (1, ["pro_6000", "pro_6000"], False),
        (1, ["h100"], False),
        (1, [], False),
        (1, None, False),
    ],
)
def test_the_placement_that_the_api_takes(gpu_count: int, include: list[str] | None, is_taken: bool) -> None:
    assert platform_rules.is_tee_placement(gpu_count, include) is is_taken


def test_the_lines_to_write_are_that_placement() -> None:
    from chutes.chute import NodeSelector

    arguments = eval(f"dict({' '.join(platform_rules.TEE_ARGUMENTS)})", {"NodeSelector": NodeSelector})
    selector = arguments["node_selector"]
    assert arguments["tee"] is True
    assert platform_rules.is_tee_placement(selector.gpu_count, selector.include)


@pytest.mark.parametrize(
    ("name", "claims"),
    [("TEE", True), ("goaTEEn", True), ("goatee", True), ("goaTee", True), ("steer", False), ("te-e", False)],
)
def test_names_that_claim_tee(name: str, claims: bool) -> None:
    assert platform_rules.claims_tee(name) is claims


def test_ports_of_the_platform_are_named_with_their_owner() -> None:
    said = [platform_rules.reserved_port_problem(port) for port in (8000, 8001, 8002, 8003)]
    assert said == [
        "port 8000 belongs to the chute itself on an instance",
        "port 8001 belongs to the chute's logging server on an instance",
        "port 8002 belongs to the chute's attestation server on an instance",
        None,
    ]


@given(st.text("/a0-_A.", max_size=12))
def test_the_pattern_of_paths_means_what_the_sdks_means(path: str) -> None:
    assert bool(platform_rules.SDK_PATH.match(path)) == bool(SDK_PATTERN.match(path))


def test_a_very_long_path_is_judged_at_once() -> None:
    started = time.monotonic()
    assert not platform_rules.SDK_PATH.match("/" + "a" * 100_000 + "!")
    assert not hidden_by("/x." + "a" * 100_000 + "!")
    assert hidden_by("/x." + "a" * 100_000)
    assert time.monotonic() - started < 1
