from __future__ import annotations

import pytest

from chutes_wrappers.core.path_templates import VARIABLE, find_nameless_variable, parse_variable_name


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("/voices/{voice_id}/{file:path}", ["voice_id", "file:path"]),
        ("/{+rest}/{rest*}/{a+}", ["+rest", "rest*", "a+"]),
        ("/{}/{*}/{+}/{:path}", []),
        ("/a{b}c{d}", ["b", "d"]),
        ("/{a{b}}", ["b"]),
        ("/plain", []),
    ],
)
def test_variables_are_names_in_braces(template: str, names: list[str]) -> None:
    assert VARIABLE.findall(template) == names


@pytest.mark.parametrize(
    ("text", "name"),
    [("a", "a"), ("a+", "a"), ("a*", "a"), ("file:path", "file"), ("+a", "+a"), ("a:int", "a:int"), ("a*b", "a*b")],
)
def test_callers_name_a_variable_without_its_operator(text: str, name: str) -> None:
    assert parse_variable_name(text) == name


def test_a_name_that_is_declared_with_its_operator_keeps_it() -> None:
    assert parse_variable_name("file:path", {"file:path"}) == "file:path"
    assert parse_variable_name("file:path", {"file"}) == "file"


@pytest.mark.parametrize(
    ("template", "result"),
    [("/a/{}/{*}", "{}"), ("/{*}", "{*}"), ("/{+}", "{+}"), ("/{:path}", "{:path}"), ("/{a}/{b*}", None), ("/", None)],
)
def test_the_first_variable_without_a_name_is_found(template: str, result: str | None) -> None:
    assert find_nameless_variable(template) == result
