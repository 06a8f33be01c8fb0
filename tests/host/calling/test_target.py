"""The cord of a call."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.calling.target import build_target_without_cords, select_target


def cord(method: str, path: str, **more: Any) -> dict[str, Any]:
    return {"public_api_method": method, "public_api_path": path, **more}


CHUTE = {
    "name": "case",
    "cords": [
        cord("GET", "/both"),
        cord("POST", "/both", input_schema={"type": "object"}),
        cord("POST", "/say"),
        cord("POST", "/chat", stream=True),
        cord("GET", "/docs"),
        cord("PUT", "/item"),
        cord("DELETE", "/item"),
        cord("HEAD", "/head"),
        cord("POST", None),  # type: ignore[arg-type]  # a cord without a public path
    ],
}


def test_a_path_with_both_methods_is_read_without_a_body_and_posted_with_one() -> None:
    assert select_target(CHUTE, "/both?a=1", None).method == "GET"
    posted = select_target(CHUTE, "both", {})
    assert (posted.method, posted.path, posted.schema) == ("POST", "/both", {"type": "object"})
    assert select_target(CHUTE, "/say", None).method == "POST"


@pytest.mark.parametrize(
    ("path", "body", "method", "expected"),
    [
        ("/item", {}, None, "PUT"),
        ("/item", None, "DELETE", "DELETE"),
        ("/item", None, "PUT", "PUT"),
        ("/head", None, None, "HEAD"),
        ("/both", None, "POST", "POST"),
    ],
)
def test_the_method_is_that_of_a_cord(path: str, body: Any, method: str | None, expected: str) -> None:
    assert select_target(CHUTE, path, body, method).method == expected


@pytest.mark.parametrize(
    ("path", "body", "method", "what"),
    [
        ("/both", None, "PATCH", "no cord has the method PATCH"),
        ("/item", {}, "DELETE", "a DELETE route, which accepts no body"),
        ("/head", {}, None, "a HEAD route, which accepts no body"),
    ],
)
def test_a_method_that_no_cord_has_and_a_body_that_it_cannot_have_are_rejected(
    path: str, body: Any, method: str | None, what: str
) -> None:
    with pytest.raises(ConfigurationError, match=what):
        select_target(CHUTE, path, body, method)


def test_an_unknown_path_suggests_the_closest() -> None:
    with pytest.raises(ConfigurationError) as caught:
        select_target(CHUTE, "/Say", {})
    assert caught.value.evidence == "POST /say"
    with pytest.raises(ConfigurationError) as caught:
        select_target(CHUTE, "/zzzzzz?token=hidden", {})
    assert "GET /both\nPOST /both" in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("cords", [None, [], {}, ["x"], [{}]])
def test_a_chute_without_cords_is_to_be_deployed_again(cords: Any) -> None:
    with pytest.raises(ConfigurationError, match="deploy the module again"):
        select_target({"name": "case", "cords": cords}, "/say", {})


def test_a_path_of_the_platform_never_reaches_the_chute() -> None:
    with pytest.raises(ConfigurationError, match="served by the platform"):
        select_target(CHUTE, "/docs", None)


def test_a_stream_may_be_requested_from_a_streaming_route() -> None:
    assert select_target(CHUTE, "/chat", {"stream": True}).method == "POST"
    with pytest.raises(ConfigurationError, match="does not stream"):
        select_target(CHUTE, "/say", {"stream": True})
    assert select_target(CHUTE, "/say", {"stream": False}).method == "POST"


def test_without_cords_the_body_decides() -> None:
    assert (build_target_without_cords("/a", None).method, build_target_without_cords("a", {}).method) == (
        "GET",
        "POST",
    )
