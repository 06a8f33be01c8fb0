from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core.path_templates import (
    VARIABLE,
    find_nameless_variable,
    find_template_problem,
    find_variables,
    normalise_template,
    parse_variable_name,
)


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
    [
        ("/a/{}/{*}", "{}"),
        ("/{*}", "{*}"),
        ("/{+}", "{+}"),
        ("/{:path}", "{:path}"),
        ("/{a}/{b*}", None),
        ("/", None),
        ("/a/*", "*"),
        ("/**/b", "**"),
        ("/a*", None),
        ("/a?b=/*", None),
    ],
)
def test_the_first_variable_without_a_name_is_found(template: str, result: str | None) -> None:
    assert find_nameless_variable(template) == result


@pytest.mark.parametrize(
    ("template", "normal"),
    [
        ("/a/{b:path}", "/a/{b:path}"), ("/a/{b+}", "/a/{b+}"), ("/a/{b*}", "/a/{b*}"), ("/a/{b c}", "/a/{b c}"),
        # Spring, ASP.NET, Go, RFC 6570, aiohttp
        ("/a/{*b}", "/a/{b:path}"), ("/a/{**b}", "/a/{b:path}"), ("/a/{b...}", "/a/{b:path}"), ("/a/{+b}", "/a/{b:path}"),
        ("/a/{b:int}", "/a/{b}"), ("/a/{b:int:min(1)}", "/a/{b}"), ("/a/{user-id:uuid}", "/a/{user-id}"),
        ("/a/{b:[0-9]{3}}", "/a/{b}"), ("/a/{b: [^/]+ }", "/a/{b}"), ("/a/{b:.*}", "/a/{b:path}"), ("/a/{b:((}", "/a/{b}"),
        ("/a/{b?}", "/a{/b}"), ("/a/{b:int?}", "/a{/b}"), ("/a/{b=5}/c", "/a{/b}/c"), ("/a{/b}", "/a{/b}"), ("/a/{b,c}", "/a/{b},{c}"),
        ("/a{.b}", "/a.{b}"), ("/a{.b,c}", "/a.{b}.{c}"), ("/a{;b,c}", "/a;b={b};c={c}"),
        # Flask, Django, Rocket
        ("/a/<b>", "/a/{b}"), ("/a/<int:b>", "/a/{b}"), ("/a/<path:b>", "/a/{b:path}"), ("/<any(x, y):b>", "/{b}"),
        ("/a/<b..>", "/a/{b:path}"), ("/v<int:b>/x", "/v{b}/x"),
        # Express, Rails, Gin
        ("/a/:b", "/a/{b}"), ("/a/:b/:c", "/a/{b}/{c}"), ("/a/:b-:c.:d", "/a/{b}-{c}.{d}"), ("/a/:b?", "/a{/b}"), ("/a/:b?x=1", "/a/{b}?x=1"),
        ("/a/:b*", "/a{/b*}"), ("/a/:b+", "/a/{b:path}"), ("/a/:b(\\d+)", "/a/{b}"), ("/a{/:b}", "/a{/b}"), ("/a/*b", "/a/{b:path}"),
        # Next.js
        ("/a/[b]", "/a/{b}"), ("/a/[...b]", "/a/{b:path}"), ("/a/[[...b]]", "/a{/b*}"), ("/[[...b]]", "/{b:path}"),
        # Not certainly a variable
        ("/v1/{m}:predict", "/v1/{m}:predict"), ("/v1/x:run", "/v1/x:run"), ("/:b:", "/:b:"), ("/a*b", "/a*b"), ("/a[b]", "/a[b]"),
        ("/{a{b}}", "/{a{b}}"), ("/a?b={c:int}#:d", "/a?b={c:int}#:d"), ("/{", "/{"), ("/<a b>", "/<a b>"),
    ],
)  # fmt: skip
def test_variables_of_other_frameworks_are_written_in_one_form(template: str, normal: str) -> None:
    assert normalise_template(template).text == normal
    assert normalise_template(normal).text == normal


def test_names_in_a_query_are_taken_off_the_path() -> None:
    assert normalise_template("/a{?q,n*}{&z}") == ("/a", ("q", "n", "z"))


def test_a_declared_name_is_kept_with_its_operator() -> None:
    assert normalise_template("/a/{b:int}/{c:int}", {"b:int"}).text == "/a/{b:int}/{c}"
    (variable,) = find_variables("/a/{b+}", {"b+"})
    assert (variable.name, variable.has_slashes) == ("b+", False)


def test_a_declared_name_may_look_like_an_operator() -> None:
    assert normalise_template("/a{.b}", {".b"}).text == "/a{.b}"
    assert find_template_problem("/a{.b:2}", {".b:2"}) is None
    assert "{#c}" in str(find_template_problem("/a{.b:2}/{#c}", {".b:2"}))


def test_a_variable_knows_whether_it_has_slashes_and_is_optional() -> None:
    found = find_variables("/{a}/{b:path}{/c}{/d*}")
    assert [(each.name, each.has_slashes, each.is_optional) for each in found] == [
        ("a", False, False), ("b", True, False), ("c", False, True), ("d", True, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "template", ["/a/{;b*}", "/a/{b:3}", "/a{#b}", "/a{.b:2}", "/a/<b:c:d>", "/a(.:format)", "/a/*", "/{}"]
)
def test_what_callers_cannot_fill_has_a_reason(template: str) -> None:
    assert "has no name" in (problem := find_template_problem(template) or "") or "not a supported form" in problem


@pytest.mark.parametrize("template", ["/a/{b}", "/a{/b}", "/a/{b:path}", "/v1/x:run", "/a?x=<b>", "/a/%2A"])
def test_what_callers_can_fill_has_none(template: str) -> None:
    assert find_template_problem(template) is None


@given(st.text("/{}<>[]:*+?.,=ab()1-#\\", max_size=12).map("/".__add__))
def test_any_template_has_one_normal_form(template: str) -> None:
    normal = normalise_template(template).text
    assert normalise_template(normal).text == normal
    assert normal.startswith(("/", "{/")) or not normal
