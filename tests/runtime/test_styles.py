"""The tables of styles in OpenAPI 3.0.4, 3.1.1 and 3.2.0, and values that survive a decoder that knows the style."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.runtime.styles import build_pairs, format_value, quote_in_form, quote_in_path, quote_in_query

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
KEY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="[]"), min_size=1, max_size=8)
LIST, OBJECT = ["blue", "black", "brown"], {"R": 100, "G": 200, "B": 150}


def query(value: Any, style: str | None, explode: bool | None) -> str:
    return "&".join(pair.encode(quote_in_query) for pair in build_pairs("color", value, style, explode))


@pytest.mark.parametrize(
    ("style", "explode", "empty", "text", "array", "object_"),
    [
        ("simple", False, "", "blue", "blue,black,brown", "R,100,G,200,B,150"),
        ("simple", True, "", "blue", "blue,black,brown", "R=100,G=200,B=150"),
        ("label", False, ".", ".blue", ".blue,black,brown", ".R,100,G,200,B,150"),
        ("label", True, ".", ".blue", ".blue.black.brown", ".R=100.G=200.B=150"),
        ("matrix", False, ";color", ";color=blue", ";color=blue,black,brown", ";color=R,100,G,200,B,150"),
        ("matrix", True, ";color", ";color=blue", ";color=blue;color=black;color=brown", ";R=100;G=200;B=150"),
        ("pipeDelimited", False, "", "blue", "blue%7Cblack%7Cbrown", "R%7C100%7CG%7C200%7CB%7C150"),
    ],
)
def test_styles_of_paths(style: str, explode: bool, empty: str, text: str, array: str, object_: str) -> None:
    for value, expected in (("", empty), ("blue", text), (LIST, array), (OBJECT, object_)):
        assert format_value("color", value, style, explode, quote_in_path) == expected


@pytest.mark.parametrize(
    ("style", "explode", "array", "object_"),
    [
        (None, None, "color=blue&color=black&color=brown", "R=100&G=200&B=150"),
        ("form", False, "color=blue,black,brown", "color=R,100,G,200,B,150"),
        ("spaceDelimited", None, "color=blue%20black%20brown", "color=R%20100%20G%20200%20B%20150"),
        ("pipeDelimited", False, "color=blue%7Cblack%7Cbrown", "color=R%7C100%7CG%7C200%7CB%7C150"),
        ("tabDelimited", False, "color=blue%09black%09brown", "color=R%09100%09G%09200%09B%09150"),
        ("pipeDelimited", True, "color=blue&color=black&color=brown", "R=100&G=200&B=150"),
        (
            "deepObject",
            None,
            "color%5B0%5D=blue&color%5B1%5D=black&color%5B2%5D=brown",
            "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150",
        ),
    ],
)
def test_styles_of_queries(style: str | None, explode: bool | None, array: str, object_: str) -> None:
    assert query("", style, explode) == "color="
    assert query(LIST, style, explode) == array
    assert query(OBJECT, style, explode) == object_


@pytest.mark.parametrize("style", ["form", "spaceDelimited", "deepObject"])
@pytest.mark.parametrize("explode", [None, False])
@pytest.mark.parametrize("value", [None, [], {}, [None], {"a": None}])
def test_what_is_undefined_in_rfc_6570_is_not_sent(style: str, explode: bool | None, value: Any) -> None:
    assert query(value, style, explode) == ""
    assert format_value("color", value, "matrix", explode, quote_in_path) == ""


def test_deep_objects_nest_and_other_styles_write_json_below_the_first_level() -> None:
    value = {"a": {"b": [1, {"c": True}], "d": None}, "e": "x"}
    assert list(parse_qsl(query(value, "deepObject", True))) == [
        ("color[a][b][0]", "1"), ("color[a][b][1][c]", "true"), ("color[e]", "x"),
    ]  # fmt: skip
    assert parse_qsl(query({"a": {"b": 1}}, None, None)) == [("a", '{"b":1}')]


def test_reserved_characters_and_escapes_pass_where_they_are_allowed() -> None:
    text = "a/b?c=d&e+f#[g]%20%é,"
    assert quote_in_query(text, allow_reserved=True) == "a/b?c=d%26e%2Bf%23%5Bg%5D%20%25%C3%A9,"
    assert quote_in_form(text, allow_reserved=True) == quote_in_query(text, allow_reserved=True)
    assert quote_in_path(text, allow_reserved=True) == "a%2Fb%3Fc=d&e+f%23%5Bg%5D%20%25%C3%A9,"
    assert quote_in_path("a/b c", has_slashes=True) == "a/b%20c"


@given(
    st.lists(TEXT, min_size=1, max_size=4),
    st.sampled_from([("form", ","), ("pipeDelimited", "%7C"), ("spaceDelimited", "%20")]),
)
def test_a_list_is_read_back(value: list[str], style: tuple[str, str]) -> None:
    name, delimiter = style
    sent = query(value, name, False).removeprefix("color=")
    if name == "form":  # the only delimiter that no encoded value contains
        assert [unquote(part) for part in sent.split(delimiter)] == value
    assert unquote(sent) == unquote(delimiter).join(value)
    assert parse_qsl(query(value, None, None), keep_blank_values=True) == [("color", item) for item in value]


@pytest.mark.parametrize("encode", [quote_in_query, quote_in_form])
@given(value=st.dictionaries(KEY, TEXT, min_size=1, max_size=4))
def test_an_object_is_read_back(encode: Callable[[str], str], value: dict[str, str]) -> None:
    deep = "&".join(pair.encode(encode) for pair in build_pairs("o", value, "deepObject", None))
    assert {key[2:-1]: text for key, text in parse_qsl(deep, keep_blank_values=True)} == value
    exploded = "&".join(pair.encode(encode) for pair in build_pairs("o", value, None, None))
    assert dict(parse_qsl(exploded, keep_blank_values=True)) == value
    matrix = format_value("o", value, "matrix", True, quote_in_path)
    assert {
        unquote(key): unquote(text) for key, _, text in (pair.partition("=") for pair in matrix[1:].split(";"))
    } == value
