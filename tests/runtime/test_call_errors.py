"""How a call that did not succeed is described to its caller."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chutes_wrappers.runtime import call_errors
from chutes_wrappers.runtime.call_errors import MAX_QUOTED_BYTES, CallFailed, make_service_error, make_surrogate_error

HALF = "a\ud800"


def test_the_statuses_are_those_that_an_instance_may_send() -> None:
    """PLATFORM.md, section 3: 400 and 429 are not failures, 503 is one of the instance."""
    assert (call_errors.CLIENT_ERROR, call_errors.TRY_AGAIN, call_errors.INSTANCE_FAILURE) == (400, 429, 503)
    assert CallFailed("why").status == 400
    assert CallFailed("why", response_status=429).status == 429


def test_a_failure_has_a_reason_and_details() -> None:
    refused = CallFailed("why", field="a")
    assert (str(refused), refused.detail) == ("why", {"error": "why", "field": "a"})


def test_an_unpaired_surrogate_is_replaced_in_every_text_of_a_refusal() -> None:
    detail = CallFailed(HALF, field=HALF, status=500).detail
    assert detail == {"error": "a?", "field": "a?", "status": 500}
    json.dumps(detail, ensure_ascii=False).encode()


def test_an_error_of_the_service_is_quoted_with_status_type_and_body() -> None:
    refused = make_service_error(404, "text/plain", "nöt here".encode())
    assert (refused.status, str(refused)) == (400, "the service returned 404 Not Found")
    assert refused.detail == {
        "error": "the service returned 404 Not Found",
        "status": 404,
        "content_type": "text/plain",
        "body": "nöt here",
    }


def test_a_location_and_another_status_for_the_caller_are_passed_on() -> None:
    refused = make_service_error(302, "", b"", location="/there", response_status=503)
    assert (refused.status, refused.detail["location"]) == (503, "/there")


def test_a_status_without_a_name_is_named_by_its_number() -> None:
    assert str(make_service_error(599, "", b"")) == "the service returned 599"


def test_a_body_that_is_not_text_is_quoted_in_base64() -> None:
    detail = make_service_error(500, "a/b", b"\xff\x00").detail
    assert (detail["body_base64"], "body" in detail) == ("/wA=", False)


@pytest.mark.parametrize(("more", "is_cut"), [(0, False), (1, True)])
def test_a_long_body_is_truncated_and_marked(more: int, is_cut: bool) -> None:
    detail = make_service_error(500, "a/b", b"x" * (MAX_QUOTED_BYTES + more)).detail
    assert (len(detail["body"]), detail.get("truncated", False)) == (256 * 1024, is_cut)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"a": "x", "b": HALF, "c": HALF}, "b"),
        ({"a": ["x", {"y": HALF}]}, "a"),
        ({HALF: 1, "b": "x"}, "a?"),
        ({"a": "x"}, "the call"),
    ],
)
def test_the_field_with_an_unpaired_surrogate_is_named(fields: dict[str, Any], name: str) -> None:
    refused = make_surrogate_error(fields)
    assert refused.status == 400
    assert refused.detail["field"] == name
    assert refused.detail["error"].startswith(f"`{name}` contains an unpaired surrogate")


def test_endless_nesting_is_not_an_unpaired_surrogate() -> None:
    nested: list[Any] = []
    nested.append(nested)
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    assert make_surrogate_error({"deep": deep, "b": HALF}).detail["field"] == "b"
