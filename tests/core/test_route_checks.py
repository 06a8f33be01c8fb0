"""Routes that cannot work, and the field that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.core.route_checks import find_call_problem, find_header_problem
from chutes_wrappers.core.routes import Route


def problem(**values: Any) -> tuple[str, str] | None:
    return find_call_problem(Route.model_validate({"path": "/a", "port": 8080, **values}))


# RFC 9110, sections 7.2, 7.6.1, 8.6 and 10.1.1; RFC 9112, section 6.1; and two that clients still send.
@pytest.mark.parametrize(
    "name",
    [
        "Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer",
        "Upgrade", "Expect",
    ],
)  # fmt: skip
def test_a_header_of_the_connection_is_not_a_parameter(name: str) -> None:
    for written in (name, name.lower(), name.upper()):
        assert (
            find_header_problem(written)
            == f"{written} is a header of the connection, which callers cannot set: remove it"
        )


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "ä", "a" * 201, "(a)", "a\n"])
def test_what_is_not_a_name_of_a_header_is_refused(name: str) -> None:
    assert find_header_problem(name) == f"{name!r} is not a valid header name: use letters, digits and dashes"


@pytest.mark.parametrize("name", ["X-Api-Version", "accept", "a" * 200, "!#$%&'*+.^_`|~-9"])
def test_any_other_name_of_a_header_can_be_sent(name: str) -> None:
    assert find_header_problem(name) is None


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"port": 8000}, "port"),
        ({"target_path": "/b/{}"}, "target_path"),
        ({"parameters": [{"name": "a", "in": "header"}, {"name": "expect", "in": "header"}]}, "parameters[1].name"),
        ({"request": {"content_type": "a\x7fb"}}, "request.content_type"),
        ({"target_path": "/b/*"}, "target_path"),
        ({"target_path": "/b/{#c}"}, "target_path"),
        ({"parameters": [{"name": "a b", "in": "cookie"}]}, "parameters[0].name"),
        ({"parameters": [{"name": "a", "content_type": "a\nb"}]}, "parameters[0].content_type"),
        ({"request": {"encoding": "json", "parts": {"a": {}}}}, "request.parts"),
        ({"request": {"encoding": "form", "parts": {"a": {"content_type": "\n"}}}}, "request.parts.a.content_type"),
        ({"request": {"encoding": "multipart", "parts": {"a": {"headers": {"b": "\r"}}}}}, "request.parts.a.headers"),
        ({"request": {"encoding": "json", "files": ["f"]}}, "request.files"),
        ({"request": {"encoding": "json", "files": []}}, "request.files"),
        ({"native": True, "parameters": [{"name": "a"}]}, "parameters"),
        ({"native": True, "request": {}}, "request"),
        ({"native": True, "gradio": {"api_name": "predict", "fn_index": 0}}, "gradio"),
    ],
)
def test_the_field_that_makes_calls_fail_is_named(values: dict[str, Any], field: str) -> None:
    result = problem(**values)
    assert result is not None
    assert result[0] == field


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"port": None},
        {"target_path": "/b/{id}"},
        {"target_path": "/b/:id/<path:rest>"},
        {"parameters": [{"name": "session.id", "in": "cookie"}]},
        {"request": {"encoding": "form", "parts": {"a": {"content_type": "application/json"}}}},
        {"parameters": [{"name": "expect"}, {"name": "host", "in": "path"}]},
        {"request": {"encoding": "multipart", "files": ["f"]}},
        {"request": {"encoding": "json"}},
        {"native": True},
    ],
)
def test_a_route_that_can_work_has_no_problem(values: dict[str, Any]) -> None:
    assert problem(**values) is None
