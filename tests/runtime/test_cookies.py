from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.routes import Route
from chutes_wrappers.runtime.call_errors import CallFailed
from chutes_wrappers.runtime.parameters import build_target


def cookie(values: dict[str, Any], *parameters: dict[str, Any]) -> str | None:
    declared = [{"in": "cookie", **parameter} for parameter in parameters or [{"name": name} for name in values]]
    route = Route.model_validate({"path": "/x", "parameters": declared})
    return build_target(route, {}, dict(values)).headers.get("Cookie")


def test_cookies_share_one_header() -> None:
    assert cookie({"session_id": "s1", "token": "a=b/c+d%2F=="}) == "session_id=s1; token=a=b/c+d%2F=="
    assert cookie({"a": None}) is None


@pytest.mark.parametrize(
    ("text", "sent"), [("a b", "a%20b"), ("a;b", "a%3Bb"), ('a"', "a%22"), ("é%", "%C3%A9%25"), ("a,b", "a%2Cb")]
)
def test_what_no_cookie_can_contain_is_percent_encoded_or_refused(text: str, sent: str) -> None:
    assert cookie({"a": text}) == f"a={sent}"
    with pytest.raises(CallFailed, match="`a` cannot be sent as a cookie: its style has no encoding"):
        cookie({"a": text}, {"name": "a", "style": "cookie"})


@pytest.mark.parametrize(
    ("parameter", "value", "sent"),
    [
        ({}, ["1", "2"], "a=1; a=2"),
        ({"explode": False}, ["1", "2"], "a=1,2"),
        ({"style": "spaceDelimited"}, ["1", "2"], "a=1%202"),
        ({}, {"x": 1, "y": 2}, "x=1; y=2"),
        ({"explode": False}, {"x": 1, "y": 2}, "a=x,1,y,2"),
        ({"style": "cookie"}, ["1", "2"], "a=1; a=2"),
        ({"content_type": "application/json"}, {"x": "é"}, "a=%7B%22x%22%3A%22%5Cu00e9%22%7D"),
        ({}, True, "a=true"),
        ({}, '"quoted"', 'a="quoted"'),
    ],
)
def test_styles_of_cookies(parameter: dict[str, Any], value: Any, sent: str) -> None:
    assert cookie({"a": value}, {"name": "a", **parameter}) == sent


def test_a_key_that_is_no_name_of_a_cookie_is_refused() -> None:
    with pytest.raises(CallFailed, match="'x y' is not a valid name of a cookie"):
        cookie({"a": {"x y": 1}})


def test_cookies_are_added_to_a_cookie_header_of_the_caller() -> None:
    header, parameter = {"name": "Cookie", "in": "header"}, {"name": "a", "in": "cookie"}
    assert cookie({"a": "1", "Cookie": "b=2"}, parameter, header) == "b=2; a=1"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(lambda text: "%" not in text))
def test_a_parser_of_cookies_reads_what_the_caller_wrote(text: str) -> None:
    sent = cookie({"a": text, "b": "end"})
    parsed = SimpleCookie(sent)
    assert parsed["b"].value == "end"
    assert unquote(parsed["a"].value) == text.removeprefix('"').removesuffix('"') or unquote(parsed["a"].value) == text
