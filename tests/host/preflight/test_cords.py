from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .module_texts import assert_one_problem, build_cord, check_module

FIRST = st.sampled_from(string.ascii_lowercase)


def paths(rest: str) -> st.SearchStrategy[str]:
    """Paths whose parts begin with a letter, followed by characters of ``rest``."""
    part = st.builds(str.__add__, FIRST, st.text(rest, max_size=8))
    return st.lists(part, min_size=1, max_size=4).map(lambda parts: "/my/" + "/".join(parts))


@given(paths(string.ascii_lowercase + string.digits + "_"))
def test_valid_internal_paths(path: str) -> None:
    assert check_module(cords=[build_cord(path=path)]) == []


@given(paths(string.ascii_lowercase + string.digits + "_-"))
def test_valid_public_paths(path: str) -> None:
    assert check_module(cords=[build_cord(public_api_path=path)]) == []


@pytest.mark.parametrize("path", ["/speak-now", "/1", "/v1/2", "/_a", "/a/", "/Speak", "/a\n", "speak", "", None])
def test_an_invalid_internal_path(path: str | None) -> None:
    assert_one_problem(
        check_module(cords=[build_cord(path=path)]), "internal path", "cord speak", repr(path or ""), 'path="/'
    )


@pytest.mark.parametrize("path", ["/1", "/v1/2", "/-a", "/_a", "/a/", "/Speak", "/a\n", "speak"])
def test_an_invalid_public_path(path: str) -> None:
    assert_one_problem(check_module(cords=[build_cord(public_api_path=path)]), "public path", "cord speak", repr(path))


@given(st.from_regex(r"\A[A-Z]{1,8}\Z") | st.sampled_from(["TRACE", "OPTIONS", "put", "head", "get", "post", " GET"]))
def test_other_public_methods_are_rejected(method: str) -> None:
    problems = check_module(cords=[build_cord(public_api_method=method)])
    if method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"):
        assert [problem for problem in problems if problem.severity == "rejected"] == []
    else:
        expected = method.upper() if method.upper() in ("GET", "POST") else "POST"
        assert_one_problem(
            problems, f"{method!r} is not a valid public method", "/v1/speak-now", f'public_api_method="{expected}"'
        )


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD"])
@pytest.mark.parametrize("public_path", ["/v1/speak-now", None])
def test_a_public_method_that_only_the_newest_api_accepts_is_a_warning(method: str, public_path: str | None) -> None:
    problems = check_module(cords=[build_cord(public_api_method=method, public_api_path=public_path)])
    assert_one_problem(
        problems, f"newest version of the API accepts the public method {method}", "the whole chute", severity="warning"
    )


def test_a_module_without_cords_needs_a_job() -> None:
    assert_one_problem(check_module(cords=[]), "no cord and no job", rule="no-cord")
    assert check_module(cords=[], jobs=["train"]) == []


@pytest.mark.parametrize("path", ["/ping", "/docs", "/pricing", "/users", "/images/list", "/chutes/x/y"])
def test_a_path_that_the_platform_handles_itself(path: str) -> None:
    assert_one_problem(
        check_module(cords=[build_cord(public_api_path=path)]), path, "never reach the chute", severity="warning"
    )


def test_a_path_with_the_prefix_of_a_platform_path_is_valid() -> None:
    assert (
        check_module(
            cords=[build_cord(public_api_path="/usersearch"), build_cord(path="/other", public_api_path="/ping/me")]
        )
        == []
    )


def test_internal_paths_are_unique_whatever_the_method() -> None:
    others = [
        build_cord(function="listen", public_api_method="GET"),
        build_cord(function="read", path="/read", stream=True),
    ]
    twice = [build_cord(), *others]
    assert_one_problem(check_module(cords=twice), "/speak belongs to 2 cords: speak, listen", "different path=")


def test_of_two_cords_with_one_public_call_only_the_first_is_called() -> None:
    cords = [build_cord(), build_cord(function="again", path="/again")]
    assert_one_problem(
        check_module(cords=cords), "cord again", "POST /v1/speak-now", "first cord, speak", severity="warning"
    )


def test_a_stream_and_a_plain_cord_share_a_public_call() -> None:
    assert check_module(cords=[build_cord(), build_cord(function="streamed", path="/streamed", stream=True)]) == []


def test_cords_that_are_not_public_hide_nothing() -> None:
    inner = [build_cord(function=name, path=f"/{name}", public_api_path=None) for name in ("a", "b")]
    assert check_module(cords=inner) == []


def test_every_problem_of_every_cord_is_reported() -> None:
    bad = build_cord(path="/a-b", public_api_path="/1", public_api_method="put")
    problems = check_module(cords=[bad, {**bad, "function": "other"}])
    assert len([problem for problem in problems if problem.severity == "rejected"]) == 7
    assert sum("cord other" in problem.where for problem in problems) == 4
