"""The text and next step of an error response."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.host.platform_api.error_responses import (
    format_detail,
    format_reason,
    select_call_step,
    select_next_step,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"detail": "Image not found"}', "Image not found"),
        ('{"detail": [{"loc": ["body", "name"], "msg": "too long", "input": "x"}]}', "name: too long"),
        ("<html><head><title>502 Bad &amp; Gateway</title></head><body>…</body></html>", "502 Bad & Gateway"),
        ("<h1>Oh</h1><p>no</p>", "Oh no"),
        ("plain words", "plain words"),
        ('{"other": 1}', '{"other": 1}'),
        ("", ""),
    ],
)
def test_the_platforms_error_text_is_shown(text: str, expected: str) -> None:
    assert format_detail(text) == expected


@given(st.text() | st.text().map(lambda text: json.dumps({"detail": text})))
def test_it_is_one_short_line_without_secrets(text: str) -> None:
    detail = format_detail(text + " seed-4711 ", ["seed-4711"])
    assert len(detail) <= 400
    assert "\n" not in detail
    assert "\x1b" not in detail
    assert "seed-4711" not in detail


BAN = {"ban_reasons": ["base64 and exec", "a constant response"], "banned": True}
BAN_LINES = ["ban_reasons: base64 and exec", "ban_reasons: a constant response", "banned: true"]
SDK_PREFIX = "Unexpected error deploying chute: "
NOTICE = "DEPLOYMENT FEE NOTICE:\n===\nthe fee is: $0.6\n To acknowledge …"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (json.dumps({"detail": BAN}), BAN_LINES),
        (json.dumps({"detail": json.dumps(BAN)}), BAN_LINES),
        (json.dumps(json.dumps({"detail": json.dumps(BAN)})), BAN_LINES),
        (SDK_PREFIX + json.dumps({"detail": json.dumps(BAN)}), [SDK_PREFIX.strip(), *BAN_LINES]),
        (SDK_PREFIX + json.dumps({"detail": "no"}), [f"{SDK_PREFIX}no"]),
        (
            SDK_PREFIX + json.dumps({"detail": NOTICE}),
            [f"{SDK_PREFIX}DEPLOYMENT FEE NOTICE:", "===", "the fee is: $0.6", "To acknowledge …"],
        ),
        (NOTICE, ["DEPLOYMENT FEE NOTICE:", "===", "the fee is: $0.6", "To acknowledge …"]),
        (
            '{"detail": [{"loc": ["body", "a"], "msg": "long", "input": "secret"}, {"loc": ["body", "b"], "msg": "short"}]}',
            ["a: long", "b: short"],
        ),
        (
            'Error [500]: {"detail": {"message": "no", "codes": [1, 2]}}',
            ["Error [500]:", "message: no", "codes: 1", "codes: 2"],
        ),
        ("Image 'a' is [not] {here}", ["Image 'a' is [not] {here}"]),
    ],
)
def test_json_in_json_is_unpacked_and_every_line_is_shown(text: str, lines: list[str]) -> None:
    assert format_reason(text).splitlines() == lines


def test_reasons_are_bounded() -> None:
    many = format_reason(json.dumps({"detail": {"ban_reasons": [f"reason {number}" for number in range(500)]}}))
    assert many.splitlines()[-1] == "… and 461 more lines"
    assert len(format_reason(json.dumps({"detail": "x" * 100_000}))) <= 4000
    assert format_reason("[" * 50_000).startswith("[[")


@pytest.mark.parametrize("part", ["<!--", "<title>", "<script>", "<", '{"detail":', "[", '"\\"'])
def test_a_huge_response_is_cut_before_it_is_searched(part: str) -> None:
    text = part * 1_000_000  # minutes, if all of it were searched
    assert len(format_detail(text)) <= 400
    assert len(format_reason(text)) <= 4000


def test_json_that_is_nested_too_deeply_is_no_failure() -> None:
    for depth in range(500, 1000, 4):
        assert format_reason('{"a":' * depth + "1" + "}" * depth)


@given(st.text() | st.text().map(lambda text: json.dumps({"detail": [text, {"a": text}]})))
def test_reasons_have_no_secrets_and_control_no_terminal(text: str) -> None:
    reason = format_reason(text + " seed-4711 ", ["seed-4711"])
    assert len(reason) <= 4000
    assert "\x1b" not in reason
    assert "seed-4711" not in reason


@given(st.integers(300, 599))
def test_every_status_has_a_next_step(status: int) -> None:
    for step in (select_next_step(status, "the account"), select_call_step(status, "case", "the API key")):
        assert step
        assert "{" not in step


@pytest.mark.parametrize(
    ("status", "detail", "named"),
    [
        (503, "No instances available (yet) for chute_id=1", "this call requested an instance"),
        (503, "Chute 1 is disabled", "enable it"),
        (503, "No infrastructure available", "--warmup case"),
        (402, "The balance is $0", "the owner pays for every call"),
        (413, "Request body is too large", "about 96 MiB of a file in base64"),
        (429, "Infrastructure is at maximum capacity, try again later", "disabled for 90 s or more"),
        (429, "Spam limit: identical requests", "change the body"),
    ],
)
def test_the_next_step_of_a_call_depends_on_the_platforms_reason(status: int, detail: str, named: str) -> None:
    assert named in select_call_step(status, "case", "the API key", detail)


def test_a_disabled_chute_that_is_warmed_up_has_the_same_next_step() -> None:
    assert "enable it" in select_next_step(503, "the account", "Chute is disabled")
    assert "disabled" not in select_next_step(503, "the account", "Service Unavailable")


@pytest.mark.parametrize(
    ("status", "detail", "step"),
    [
        (401, "Could not find user with hotkey: 5Hh5dPrM", "./setup.sh --account"),
        (401, "Can't find a user with that api key in our db :(", "./setup.sh --account"),
        (401, "Invalid nonce!", "set this machine's clock"),
        (401, "Authentication required.", "check that the API URL"),
        (401, "Invalid request signature for hotkey 5Hh5", "check the account, and this machine's clock"),
        (500, "Internal Server Error", "check the result with --status"),
        (502, "502 Bad Gateway", "check the result with --status"),
    ],
)
def test_the_next_step_of_a_request_depends_on_the_apis_reason(status: int, detail: str, step: str) -> None:
    assert step in select_next_step(status, "the account", detail)


def test_a_failed_read_has_no_result_to_check() -> None:
    assert "--status" not in select_next_step(502, "the account", is_read=True)
    assert "builds" not in select_next_step(429, "the account", is_read=True)
