from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.core.exposure import find_hidden_categories

# The SDK's pattern, unchanged (chute/cord.py).
SDK_PATTERN = re.compile(r"^(/[a-z0-9_]+[a-z0-9-_]*)+$")


@pytest.mark.parametrize(
    ("gpu_count", "include", "is_valid"),
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
def test_the_placement_that_the_api_accepts(gpu_count: int, include: list[str] | None, is_valid: bool) -> None:
    assert platform_checks.is_tee_placement(gpu_count, include) is is_valid


def test_the_lines_to_write_are_that_placement() -> None:
    from chutes.chute import NodeSelector

    arguments = eval(f"dict({' '.join(platform_rules.TEE_ARGUMENTS)})", {"NodeSelector": NodeSelector})
    selector = arguments["node_selector"]
    assert arguments["tee"] is True
    assert platform_checks.is_tee_placement(selector.gpu_count, selector.include)


@pytest.mark.parametrize(
    ("name", "claims"),
    [("TEE", True), ("goaTEEn", True), ("goatee", True), ("goaTee", True), ("steer", False), ("te-e", False)],
)
def test_names_that_claim_tee(name: str, claims: bool) -> None:
    assert platform_checks.is_tee_name(name) is claims


def test_ports_of_the_platform_are_named_with_their_owner() -> None:
    message = [platform_checks.find_reserved_port_problem(port) for port in (8000, 8001, 8002, 8003)]
    assert message == [
        "port 8000 belongs to the chute itself on an instance",
        "port 8001 belongs to the chute's logging server on an instance",
        "port 8002 belongs to the chute's attestation server on an instance",
        None,
    ]


@given(st.text("/a0-_A.", max_size=12))
def test_the_pattern_of_paths_means_what_the_sdks_means(path: str) -> None:
    assert bool(platform_rules.SDK_PATH.match(path)) == bool(SDK_PATTERN.match(path))


def test_a_very_long_path_is_matched_quickly() -> None:
    started = time.monotonic()
    assert not platform_rules.SDK_PATH.match("/" + "a" * 100_000 + "!")
    assert not find_hidden_categories("/x." + "a" * 100_000 + "!")
    assert find_hidden_categories("/x." + "a" * 100_000)
    assert time.monotonic() - started < 60


# PLATFORM.md, by its sections: a fact changes here only when the platform has changed.
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("UPSTREAM_METHODS", ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")),
        ("API_PUBLIC_METHODS", ("GET", "POST")),
        ("INSTANCE_UID", 1000),
        ("INSTANCE_GID", 1000),
        ("INSTANCE_USER", "chutes"),
        ("INSTANCE_WORKDIR", "/app"),
        ("INSTANCE_VOLUMES", ("/tmp", "/cache")),
        ("INSTANCE_SHM_BYTES", 17_179_869_184),
        ("EXECUTION_CONTEXT_VARIABLE", "CHUTES_EXECUTION_CONTEXT"),
        ("REMOTE_CONTEXT", "REMOTE"),
        ("API_CALL_LIMIT_S", 1800),
        ("FAILURES_TO_DISABLE", 7),
        ("DISABLE_S", 90),
        ("DISABLES_TO_DELETION", 6),
        ("DISABLE_WINDOW_S", 3600),
        ("MAX_INSTANCES_PER_CALL", 3),
        ("INGRESS_ATTEMPTS", 3),
        ("INGRESS_RETRIED_METHODS", ("GET", "PUT", "DELETE")),
        ("MAX_REQUEST_BYTES", 134_217_728),
        ("BODILESS_METHODS", ("GET", "DELETE", "HEAD")),
        ("UPGRADE_REQUIRED", 426),
        ("BAD_REQUEST", 400),
        ("RATE_LIMITED", 429),
        ("FAULTHANDLER_VARIABLES", ("PYTHONFAULTHANDLER", "PYTHONDEVMODE")),
        ("MIN_GLIBC", (2, 34)),
        ("MIN_CUDA", (12, 8)),
        ("OPENSSL_LIBRARY", "libcrypto.so.3"),
        ("MIN_PYTHON", (3, 10)),
        ("MAX_PYTHON", (3, 12)),
        ("CHUTE_NAME_LENGTH", (3, 127)),
        ("IMAGE_NAME_LENGTH", (3, 65)),
        ("IMAGE_TAG_LENGTH", (2, 33)),
        ("MAX_SLUG_LENGTH", 58),
        ("MAX_SOURCE_LENGTH", 150_000),
        ("MAX_TAGLINE_LENGTH", 1_024),
        ("MAX_README_LENGTH", 16_384),
        (
            "CHUTE_RANGES",
            {
                "concurrency": (0, 256),
                "max_instances": (1, 100),
                "shutdown_after_seconds": (60, 604_800),
                "scaling_threshold": (0, 1),
            },
        ),
        ("NODE_RANGES", {"gpu_count": (1, 8), "min_vram_gb_per_gpu": (16, 140)}),
        ("MAX_EXCLUDED_GPUS", 5),
        ("MAX_HOURLY_PRICE", 10),
        ("MIN_BUILD_BALANCE", 50),
        ("FIRST_DEPLOYMENT_HOURS", 3),
        ("MAX_BUILDS_PER_DAY", 24),
        ("MAX_VERSIONS_PER_DAY", 24),
        ("NONCE_WINDOW_S", 600),
        ("PUBLIC_CHUTES_BIT", 11),
    ],
)
def test_the_facts_are_those_of_the_platform(name: str, value: object) -> None:
    assert getattr(platform_rules, name) == value


def test_the_gpus_and_their_prices_are_those_of_the_platform() -> None:
    listed = """
        pro_6000 1.80, 3090 .25, 4090 .4, 5090 .7, a4000 .2, a4000_ada .21, a5000 .25, a6000 .5, a6000_ada .75, l4 .25,
        a10 .25, a40 .5, l40 .55, l40s .85, a100 1.2, a100_sxm 1.25, h100 1.79, h100_nvl 2.25, h100_sxm 2.35, h800 1.5,
        h20 1.2, h200 2.75, mi300x 3, b200 4.5, b300 4.5
    """
    prices = {name: float(price) for name, price in (gpu.split() for gpu in listed.split(","))}
    assert prices == platform_rules.GPU_HOURLY_PRICES


def test_gpus_that_the_api_does_not_know_are_named_once_and_sorted() -> None:
    assert platform_checks.find_unknown_gpus(["h100", "rtx1", "H200", "gtx", "rtx1"]) == ["gtx", "rtx1"]


@pytest.mark.parametrize(
    "path",
    [
        "/ping", "/docs", "/redoc", "/openapi.json", "/pricing", "/users", "/images", "/chutes", "/jobs", "/nodes", "/logos",
        "/audit", "/secrets", "/instances", "/payments", "/users/me", "/audit/a/b",
    ],
)  # fmt: skip
def test_the_platforms_own_paths_never_reach_a_chute(path: str) -> None:
    assert platform_checks.is_shadowed(path)


@pytest.mark.parametrize("path", ["/", "/pings", "/ping/a", "/docs/", "/usersx", "/v1/users", "/pricing/a"])
def test_other_paths_reach_a_chute(path: str) -> None:
    assert not platform_checks.is_shadowed(path)


def test_chute_names_are_validated_by_length_and_characters() -> None:
    rule = "3 to 127 letters, digits, '-', '_', '.' or '/', the first a letter or digit"
    for name in ("a" * 3, "a" * 127, "A/b-c_d.e", "0ab", "-a/b"):
        assert platform_checks.find_chute_name_problem(name) is None
    for name in ("a" * 2, "a" * 128, "-ab", "ab c", "abc\n", "äbc", "a/-b/ "):
        assert platform_checks.find_chute_name_problem(name) == rule


def test_image_names_and_tags_are_validated_by_length_and_characters() -> None:
    for name in ("a" * 3, "a" * 65, "A-b_c.d", "0ab"):
        assert platform_checks.find_image_name_problem(name) is None
    for name in ("a" * 2, "a" * 66, "-ab", "abc\n"):
        message = platform_checks.find_image_name_problem(name)
        assert message == "3 to 65 letters, digits, '-', '_' or '.', the first a letter or digit"
    for tag, is_valid in (("a", False), ("aa", True), ("a" * 33, True), ("a" * 34, False)):
        message = platform_checks.find_image_name_problem(tag, platform_rules.IMAGE_TAG_LENGTH)
        assert (message is None) is is_valid
        assert is_valid or str(message).startswith("2 to 33 letters")


def test_a_users_name_is_3_to_15_letters_digits_underscores_or_dashes() -> None:
    for name in ("abc", "A" * 15, "a_1", "a-b"):
        assert platform_checks.find_username_problem(name) is None
    for name in ("ab", "a" * 16, "abc\n", "äbc"):
        assert platform_checks.find_username_problem(name) == "3 to 15 letters, digits, '_' or '-'"


@pytest.mark.parametrize(
    ("selector", "gpus"),
    [
        ({"include": ["pro_6000"]}, {"pro_6000"}),
        ({"include": ["PRO_6000"]}, set()),
        ({"include": ["h100", "rtx1"], "exclude": ["H100"]}, {"rtx1"}),
        ({"include": ["rtx1"], "max_hourly_price_per_gpu": 0.1, "exclude": 5}, {"rtx1"}),
        ({"include": ["h100", "h200"], "max_hourly_price_per_gpu": "1.79"}, {"h100"}),
        ({"include": ["pro_6000"], "min_vram_gb_per_gpu": 97}, set()),
        ({"include": ["pro_6000"], "max_hourly_price_per_gpu": 1.8, "min_vram_gb_per_gpu": 96}, {"pro_6000"}),
        ({"include": ["h100"], "supported_gpus": ["h100_sxm", "h100"]}, {"h100", "h100_sxm"}),
        ({"include": [], "exclude": None}, set(platform_rules.GPU_HOURLY_PRICES)),
    ],
)
def test_the_gpus_that_a_selector_leaves(selector: dict[str, Any], gpus: set[str]) -> None:
    assert platform_checks.resolve_gpus(selector) == gpus


@pytest.mark.parametrize(
    ("name", "is_banned", "is_exceptable"),
    [
        ("HF_TOKEN", False, False), ("MY_PYTHON_PATH", True, False), ("SGLang", True, False), ("SGL_X", True, False),
        ("ld_preload", True, False), ("OLD_LD_X", False, False), ("https_proxy", True, False), ("NO_PROXY", False, False),
        ("HF_HUB_DISABLE_SSL_VERIFY", True, False), ("PYTHONPATH", True, True), ("UV_PYTHON", True, True),
        ("UV_INDEX", False, True), ("XHTTP_PROXY", False, False),
    ],
)  # fmt: skip
def test_names_of_secrets(name: str, is_banned: bool, is_exceptable: bool) -> None:
    assert platform_checks.is_banned_secret(name) is is_banned
    assert platform_checks.is_exceptable_secret(name) is is_exceptable


@pytest.mark.parametrize(
    ("name", "word"),
    [*((f"x-{word.upper()}y", word) for word in (
        "affine", "babelbit", "chronoseek", "glyph", "leoma", "prometheon", "turbovision", "vocence",
    )), ("affin", None), ("my-chute", None)],
)  # fmt: skip
def test_a_subnets_word_in_a_name_is_found(name: str, word: str | None) -> None:
    assert platform_checks.find_subnet_word(name) == word


@pytest.mark.parametrize(
    ("username", "name", "label"),
    [
        ("Ann_1", "My/Chute v2", "ann-1-my-chute-v2"),
        ("ann", "--x--", "ann-x"),
        ("ann", "x" * 80, "ann-" + "x" * 54),
    ],
)
def test_a_chutes_host_begins_with_user_and_name(username: str, name: str, label: str) -> None:
    assert platform_checks.build_slug(username, name) == label


def test_only_a_2xx_with_a_body_is_a_success() -> None:
    successes = {200, 201, 203, 205, 226, 299}
    others = {100, 199, 204, 300, 301, 302, 400, 401, 402, 403, 404, 409, 422, 426, 428, 429, 499, 500, 502, 503, 599}
    assert {status for status in successes | others if platform_checks.is_success_status(status)} == successes


@pytest.mark.parametrize(
    ("port", "message"),
    [
        (0, "port 0 is not between 1 and 65535"),
        (65536, "port 65536 is not between 1 and 65535"),
        (-1, "port -1 is not between 1 and 65535"),
        (1, "port 1 is below 1024, and an instance runs as uid 1000"),
        (1023, "port 1023 is below 1024, and an instance runs as uid 1000"),
        (8000, "port 8000 belongs to the chute itself on an instance"),
        (8001, "port 8001 belongs to the chute's logging server on an instance"),
        (8002, "port 8002 belongs to the chute's attestation server on an instance"),
        (1024, None),
        (8003, None),
        (65535, None),
    ],
)
def test_a_port_that_a_service_cannot_have_is_named_with_the_reason(port: int, message: str | None) -> None:
    assert platform_checks.find_service_port_problem(port) == message


@pytest.mark.parametrize(
    ("port", "suggested"),
    [(80, 8080), (1, 8001), (999, 8999), (1010, 9010), (1023, 9023), (8000, 18000), (8002, 18002)],
)
def test_another_port_is_suggested_for_one_that_a_service_cannot_have(port: int, suggested: int) -> None:
    assert platform_checks.suggest_service_port(port) == suggested


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("HF_TOKEN", True), ("HFTOKEN", True), ("TOKEN", True), ("api_key", True), ("OPENAI_APIKEY", True), ("KEY", True),
        ("DB_PASS", True), ("DB_PWD", True), ("PASSWORD", True), ("MY_SECRET_NAME", True), ("AWS_CREDENTIALS", True),
        ("PRIVATE_PATH", True), ("WALLET_SEED", True), ("ACCESS_KEY_ID", True),
        ("TOKENIZERS_PARALLELISM", False), ("MONKEY", False), ("PATH", False), ("KEYBOARD", False), ("SEEDED", False),
        ("MODEL_NAME", False),
    ],
)  # fmt: skip
def test_a_variable_that_holds_a_secret_is_known_by_its_name(name: str, is_secret: bool) -> None:
    assert bool(platform_rules.SECRET_NAME.search(name)) is is_secret


def test_ids_are_those_of_the_sdk() -> None:
    from chutes.chute import Chute
    from chutes.image import Image

    assert platform_checks.compute_chute_id("tester", "Case") == Chute(username="tester", name="Case", image="x").uid
    image = Image(username="Tester", name="case", tag="V1")
    assert platform_checks.compute_image_id("Tester", "case", "V1") == image.uid


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("my_chat", "my-chat", True),
        ("my_chat", "MY.CHAT", True),
        ("my-chat", "my_chat", False),
        ("my%", "my-chat", True),
        ("my.chat", "my-chat", False),
        ("my_chat", "my--chat", False),
        ("my_chat", "my-chats", False),
        ("b_b_x", "bob_x", True),
    ],
)
def test_names_match_as_patterns_of_the_platform(pattern: str, name: str, matches: bool) -> None:
    assert platform_checks.is_name_pattern_match(pattern, name) is matches
