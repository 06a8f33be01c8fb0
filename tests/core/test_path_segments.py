from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.core import path_segments
from chutes_wrappers.core.path_segments import MAX_PATH_LENGTH, find_dot_segments, find_path_problem

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("", []),
        (".", ["."]),
        ("..", [".."]),
        ("/a/./b/../c", [".", ".."]),
        ("../..\\.", ["..", "..", "."]),
        ("/..;jsessionid=1/.;", ["..", "."]),
        ("/a;/../b", [".."]),
        ("/a;../b..", []),
        ("/.../.a/a./..a/a..b", []),
    ],
)
def test_dot_segments_end_at_slashes_backslashes_and_semicolons(path: str, segments: list[str]) -> None:
    assert find_dot_segments(path) == segments


@pytest.mark.parametrize(
    "path",
    [
        "%2e%2e", "%2E.", ".%2e", "a%2f..", "a%5C..%5cb", "..%3bx", "%252e%252e", "%25%32%65%2e", "%2%65%2e", "%%32%65.",
        "%" + "25" * 200 + "2e.", "%2%3%3%352e.",
    ],
)  # fmt: skip
def test_segments_are_decoded_until_nothing_changes(path: str) -> None:
    assert find_dot_segments(path) == [".."]


@pytest.mark.parametrize(
    "path",
    [
        "%c0%ae%c0%ae", "%C0%AE.", "%e0%80%ae.", "%f0%80%80%ae.", "..%c0%af", "..%c1%9c", "%c0%a52e.", "%u002e%U002E", "..%u002f",
        "..%u005ca", "..%00", "..%00.html", ".%00.", "%01..", ". .", "..%20", ".%09.", "..%3fx", "..%23x", "%253f/../x",
    ],
)  # fmt: skip
def test_segments_of_lenient_servers_are_found(path: str) -> None:
    assert find_dot_segments(path) == [".."]


@pytest.mark.parametrize(
    "path",
    [
        "%", "%2", "%zz", "%u", "%u00", "%ud800", "%ff%fe", "%e3%80%82", "%ef%bc%8e%ef%bc%8e", "%c3%bc", "%ed%a0%80", "caf\u00e9..",
        "%c0", "%f0%9f%98%80", ".%c3%ae", "100%25", "a%2fb", "%2ehidden", "..%2ea",
    ],
)  # fmt: skip
def test_other_escapes_are_no_dot_segments(path: str) -> None:
    assert find_dot_segments(path) == []
    assert find_path_problem(path) is None


def test_a_problem_names_the_segment() -> None:
    assert find_path_problem("/a/%2e%2e/b") == "contains the segment '..' when it is decoded"
    assert find_path_problem("a\\.") == "contains the segment '.' when it is decoded"


def test_a_path_is_limited_so_that_no_check_takes_long() -> None:
    assert find_path_problem("a" * MAX_PATH_LENGTH) is None
    assert find_path_problem("a" * (MAX_PATH_LENGTH + 1)) == "is longer than 64 KiB"


def test_a_deeply_encoded_path_is_decoded_in_one_pass() -> None:
    depth = 20_000  # a round for each level would read 800 MB
    assert find_dot_segments("%2" + "%3" * depth + "52e./..") == ["..", ".."]


@given(st.text(st.sampled_from("%25uUcC0eEaAfF18/.x")), st.binary(max_size=4))
def test_every_order_of_decoding_has_the_same_result(text: str, more: bytes) -> None:
    expected = text.encode() + more
    while match := path_segments._ESCAPE.search(expected):
        expected = expected[: match.start()] + path_segments._decode_escape(match) + expected[match.end() :]
    assert path_segments._decode(text.encode() + more) == expected


@given(TEXT, st.integers(0, 6))
def test_any_spelling_of_a_dot_segment_is_found_in_any_text(text: str, rounds: int) -> None:
    for segment in (".", ".."):
        path = f"{text}/{segment}/{text}"
        for _ in range(rounds):
            path = quote(path, safe="")
        assert segment in find_dot_segments(path)


def test_an_unpaired_surrogate_is_the_callers_error() -> None:
    with pytest.raises(UnicodeEncodeError):
        find_dot_segments("\ud800")
