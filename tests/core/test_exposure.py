from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.exposure import CATEGORIES, find_filter_reason, find_hidden_categories, parse_expose


@pytest.mark.parametrize(
    ("path", "part", "category"),
    [
        ("/items/{item_id}", "path parameters", "parameters"),
        ("/robots.txt", "file extension", "files"),
        ("/favicon.ico", "file extension", "files"),
        ("/a/model.bin/", "file extension", "files"),
        ("/", "root path", "root"),
        ("//", "root path", "root"),
        ("/static/app", "(/static)", "internal"),
        ("/assets", "(/assets)", "internal"),
        ("/svelte/x", "(/svelte)", "internal"),
        ("/login", "(/login)", "internal"),
        ("/logout", "(/logout)", "internal"),
        ("/gradio_api/info", "(/gradio_api)", "internal"),
        ("/theme.css", "(/theme)", "internal"),
        ("/__internal", "(/__*)", "internal"),
    ],
)
def test_the_documented_filters_name_their_reason_and_the_switch(path: str, part: str, category: str) -> None:
    reason = find_filter_reason(path)
    assert reason is not None
    assert part in reason
    assert f"--expose {','.join(find_hidden_categories(path))} publishes it" in reason
    assert category in find_hidden_categories(path)
    assert find_filter_reason(path, find_hidden_categories(path)) is None


@pytest.mark.parametrize(
    "path", ["/predict", "/statics", "/loginname", "/v1/audio", "/themes/list", "/api/v1.2", "/a/"]
)
def test_other_paths_are_not_hidden(path: str) -> None:
    assert find_filter_reason(path) is None


def test_a_reason_names_only_the_categories_that_are_still_missing() -> None:
    reason = find_filter_reason("/static/{name}.js", {"internal", "files"})
    assert reason == "path parameters, left out by default; --expose parameters publishes it"


@pytest.mark.parametrize(
    ("value", "exposed"),
    [
        ("", set()),
        (" parameters , files,", {"parameters", "files"}),
        (["root", "internal"], {"root", "internal"}),
        ("all", set(CATEGORIES)),
        (("all", "root"), set(CATEGORIES)),
    ],
)
def test_categories_are_named_in_a_string_or_a_list(value: Any, exposed: set[str]) -> None:
    assert parse_expose(value, where="x") == exposed


@pytest.mark.parametrize("value", ["params", ["files", "Root"], "all,everything", 5, True])
def test_an_unknown_category_is_named_with_the_valid_ones(value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_expose(value, where="--expose")
    assert caught.value.where == "--expose"
    assert "parameters, files, root, internal, reserved" in (caught.value.next_step or "")
