"""The service's response, restored from that of the platform."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chutes_wrappers.host.forwarding.public_responses import (
    build_forwarding_error,
    parse_empty_response,
    parse_mark,
    parse_service_error,
)
from chutes_wrappers.host.forwarding.tunnel_required import TunnelRequired
from chutes_wrappers.runtime.call_errors import MAX_QUOTED_BYTES
from chutes_wrappers.runtime.call_errors import make_service_error as refusal
from chutes_wrappers.runtime.media_types import EMPTY_RESPONSE_TYPE
from chutes_wrappers.runtime.tunnel_frames import Head


def wrap_detail(detail: Any) -> list[bytes]:
    """The ways in which an instance's 400 reaches a client."""
    inner = json.dumps({"detail": detail})
    texts = [f"Invalid request: {inner}", f"Invalid request: {json.dumps(detail)}"]
    return [inner.encode(), *(json.dumps({"detail": text}).encode() for text in texts), *map(str.encode, texts)]


@pytest.mark.parametrize("body", ["text é", '{"detail": "its own"}', b"\xff\x00", ""])
@pytest.mark.parametrize("status", [302, 404, 422, 500])
def test_the_services_error_is_restored(body: str | bytes, status: int) -> None:
    data = body.encode() if isinstance(body, str) else body
    for text in wrap_detail(refusal(status, "x/y", data, location="/there").detail)[:3]:
        error = parse_service_error(text)
        assert error is not None
        head, quoted = error
        assert (head.status, head.headers, quoted) == (status, (("Content-Type", "x/y"), ("Location", "/there")), data)


@pytest.mark.parametrize(
    "text",
    [*wrap_detail({"error": "`x` is missing"}), b"", b"[]", b"not json", b'{"status": 404}', b'{"status": "404"}'],
)
def test_other_errors_are_not_the_services(text: bytes) -> None:
    error = parse_service_error(text)
    assert error is None or error[0].status == 404


@pytest.mark.parametrize("text", wrap_detail({"error": "`x` is missing"}))
def test_a_400_keeps_its_text(text: bytes) -> None:
    failure = build_forwarding_error(400, text)
    assert failure.status == 400
    assert "`x` is missing" in failure.text


@pytest.mark.parametrize(
    ("status", "named"),
    [(401, "key"), (402, "balance"), (403, "key"), (404, "deploy"), (500, "No infra"), (599, "599")],
)
def test_errors_of_the_platform_become_502(status: int, named: str) -> None:
    failure = build_forwarding_error(status, b'{"detail": "No infrastructure available"}')
    assert failure.status == 502
    assert named in failure.text


def test_a_413_stays_a_413_and_the_invocation_id_is_named() -> None:
    failure = build_forwarding_error(413, b'{"detail": "too large"}', "6f1c2d3e")
    assert failure.status == 413
    assert '413: {"detail": "too large"} (X-Chutes-InvocationID: 6f1c2d3e); send less' in failure.text


@pytest.mark.parametrize(("status", "text"), [(503, "503: Service Unavailable;"), (520, "520: no text;")])
def test_an_error_without_text_has_the_status_phrase(status: int, text: str) -> None:
    assert f"the platform returned {text}" in build_forwarding_error(status, b" ").text


@pytest.mark.parametrize(
    ("body", "head"),
    [
        ({"status": 204}, Head(status=204, reason="No Content")),
        ({"status": 200}, Head(status=200, reason="OK", headers=(("Content-Length", "0"),))),
        ({"status": 201, "content_type": "x/y"}, Head(status=201, reason="Created", headers=(("Content-Type", "x/y"), ("Content-Length", "0")))),
        ({"status": "ok"}, None),
        ({"status": True}, None),
        ({"status": 404}, None),
        ([204], None),
    ],
)  # fmt: skip
def test_an_empty_response_is_restored(body: Any, head: Head | None) -> None:
    assert parse_empty_response(json.dumps(body).encode()) == head


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (EMPTY_RESPONSE_TYPE, ("application/json", "empty")),
        ('application/json;Service-Response="EMPTY"', ("application/json", "empty")),
        ("text/plain; service-response=201; charset=utf-8", ("text/plain; charset=utf-8", "201")),
        ("application/json", ("application/json", "")),
        ("application/json; service-response=404", ("application/json; service-response=404", "")),
        ("application/json; x-service-response=201", ("application/json; x-service-response=201", "")),
        ("", ("", "")),
    ],
)
def test_the_gateways_mark_is_taken_off_the_media_type(content_type: str, expected: tuple[str, str]) -> None:
    assert parse_mark(content_type) == expected


def test_an_error_that_was_quoted_in_part_is_not_shown_as_a_whole() -> None:
    detail = refusal(500, "text/plain", b"x" * (MAX_QUOTED_BYTES + 1)).detail
    with pytest.raises(TunnelRequired, match="returned 500 with a body of more than 256 KiB"):
        parse_service_error(json.dumps({"detail": detail}).encode())
