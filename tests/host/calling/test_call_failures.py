"""Errors of calls, by who refused them: the platform, or the service in the chute."""

from __future__ import annotations

import json

import pytest

from chutes_wrappers.host.calling.call_failures import build_call_error


@pytest.mark.parametrize(
    ("status", "what", "step"),
    [
        (401, "the service in the chute returned 401 (Unauthorized)", "give the service's own credentials"),
        (403, "the service in the chute returned 403 (Forbidden)", "--secret chat NAME"),
        (500, "the service in the chute failed with 500 (Internal Server Error)", "read with --logs chat why"),
        (501, "the service in the chute returned 501 (Not Implemented)", "correct the body"),
        (415, "the service in the chute returned 415 (Unsupported Media Type)", "correct the media type"),
        (422, "the service in the chute returned 422", "correct the body"),
    ],
)
def test_an_error_of_the_service_has_a_step_of_its_own(status: int, what: str, step: str) -> None:
    detail = {"error": "x", "status": status, "content_type": "application/json", "body": "{}"}
    body = json.dumps({"detail": detail}).encode()
    error = build_call_error(400, body, name="chat", where="POST x", key=None)
    assert error.what.startswith(what)
    assert step in (error.next_step or "")


def test_a_401_of_the_platform_is_about_its_key() -> None:
    error = build_call_error(401, b'{"detail": "Invalid or missing authorization"}', name="chat", where="x", key=None)
    assert "permission to invoke this chute" in (error.next_step or "")
