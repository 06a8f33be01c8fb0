from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core import aliases as module
from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.core.aliases import build_aliases
from tests.core.paths import PATH

PATHS = st.lists(PATH, max_size=10)


def twin(path: str) -> str:
    return path[:-1] if path.endswith("/") else path + "/"


@pytest.mark.parametrize(
    ("path", "alias"),
    [
        ("/voices/{voice_id}/Sample.wav", "/voices/voice_id/sample_wav"),
        ("/", "/root"),
        ("/v1/2x", "/v1/n2x"),
        ("/a b", "/a_b"),
        ("/_x", "/x"),
        ("/a/", "/a"),
        ("/a//b", "/a/b"),
        ("/{path:path}", "/path_path"),
        ("/日本", "/x"),
        ("/#X-Amz-Target=Logs_1.Put", "/x-amz-target_logs_1_put"),
    ],
)
def test_aliases_are_readable(path: str, alias: str) -> None:
    assert build_aliases([path]) == {path: alias}


def test_of_slash_twins_the_first_named_has_the_path() -> None:
    assert build_aliases(["/a/", "/a"]) == {"/a/": "/a", "/a": "/a/slash"}
    assert build_aliases(["/a", "/a/"]) == {"/a": "/a", "/a/": "/a/slash"}
    assert build_aliases(["/A/", "/A", "/a/slash"])["/A/"] == "/a"


def test_the_nearest_path_has_the_alias_and_the_others_a_digest() -> None:
    result = build_aliases(["/A", "/a/", "/a."])
    assert result["/a/"] == "/a"
    assert result["/A"].startswith("/a_")
    assert len(set(result.values())) == 3


def test_of_paths_with_the_same_digits_the_later_gets_more_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DIGEST_LENGTHS", (1, 12))
    paths = [f"/a{'.' * dots}" for dots in range(1, 30)]  # more than one digit can tell apart
    result = build_aliases(paths)
    assert len(set(result.values())) == len(paths)
    assert {len(alias) for alias in result.values()} == {len("/a_1"), len("/a_") + 12}


def test_paths_that_the_platform_answers_itself_move_when_asked_to() -> None:
    assert build_aliases(["/users/list", "/ping", "/Docs", "/a"], move_reserved=True) == {
        "/users/list": "/service/users/list",
        "/ping": "/service/ping",
        "/Docs": "/service/docs",
        "/a": "/a",
    }


def test_an_alias_is_bounded_and_a_legal_path_is_kept_whole() -> None:
    assert len(build_aliases(["/" + "A" * 500])["/" + "A" * 500]) <= 200
    assert build_aliases(["/" + "a" * 500]) == {"/" + "a" * 500: "/" + "a" * 500}


@given(PATHS, st.booleans())
def test_every_alias_is_legal_and_unique(paths: list[str], move_reserved: bool) -> None:
    result = build_aliases(paths, move_reserved=move_reserved)
    assert set(result) == set(paths)
    assert len(set(result.values())) == len(result)
    for alias in result.values():
        assert platform_rules.API_PUBLIC_PATH.match(alias)
        assert platform_rules.SDK_PATH.match(alias)
        assert not (move_reserved and platform_checks.is_shadowed(alias))


@given(PATHS)
def test_a_legal_path_is_its_own_alias_but_for_slash_twins(paths: list[str]) -> None:
    for path, alias in build_aliases(paths).items():
        if platform_rules.API_PUBLIC_PATH.match(path) and twin(path) not in paths:
            assert alias == path


@given(PATHS, st.randoms(use_true_random=False))
def test_aliases_do_not_depend_on_the_order(paths: list[str], shuffler: random.Random) -> None:
    without_twins = [path for path in paths if path.endswith("/") is False or twin(path) not in paths]
    shuffled = list(without_twins)
    shuffler.shuffle(shuffled)
    assert build_aliases(shuffled) == build_aliases(without_twins)


@given(PATHS, st.booleans())
def test_aliases_of_aliases_are_the_same(paths: list[str], move_reserved: bool) -> None:
    result = list(build_aliases(paths, move_reserved=move_reserved).values())
    assert build_aliases(result, move_reserved=move_reserved) == {alias: alias for alias in result}
