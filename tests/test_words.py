"""Words and places that a machine can check; CONTRIBUTING.md has the style that it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acceptance import words

ROOT = Path(__file__).resolve().parents[1]
MODULES = words.read_modules(ROOT)
_LAST_COMMIT_IN_OLD_WORDS = "eebca6a"


def _module(text: str) -> words.Module:
    return words.Module(name="chutes_wrappers.host.sample", text=text)


@pytest.mark.parametrize("find", [words.find_old_messages, words.find_old_docstrings])
def test_texts_use_the_words_of_the_field(find: Callable[[words.Module], Iterator[str]]) -> None:
    assert [f"{module.name}:{place}" for module in MODULES for place in find(module)] == []


def test_shell_scripts_use_the_words_of_the_field() -> None:
    scripts = [*ROOT.glob("*.sh"), *(ROOT / "chutes_wrappers").rglob("*.sh")]
    assert scripts
    assert [script.name for script in scripts if any(map(words.is_old, script.read_text().splitlines()))] == []


def test_no_name_of_a_module_repeats_in_three_packages() -> None:
    assert words.repeated_names(MODULES) == []


def test_no_name_of_a_module_shadows_a_library() -> None:
    assert words.shadowing_names(MODULES) == []


def test_subjects_of_commits_fit() -> None:
    subjects = words.subjects_since(_LAST_COMMIT_IN_OLD_WORDS)
    if subjects is None:
        pytest.skip(f"the history of this checkout does not have {_LAST_COMMIT_IN_OLD_WORDS}")
    assert [subject for subject in subjects if len(subject) > words.LONGEST_SUBJECT] == []


def test_a_history_without_the_commit_has_no_subjects(tmp_path: Path) -> None:
    assert words.subjects_since("0" * 40) is None
    assert words.subjects_since("HEAD", tmp_path) is None


@pytest.mark.parametrize(
    ("text", "is_old"),
    [
        ('raise ValueError(f"{port!r} is no port")', True),
        ('raise ValueError("the hosts are none of these")', True),
        ('raise ValueError(f"{port!r} is not a valid port")', False),
        ('raise ValueError("there is no terminal")', False),
        ('raise ValueError("the image is no longer there")', False),
        ('error("--share means something only with --x")', True),
        ('"""A docstring: what is no message."""', False),
        ('key = "rehearsal"', False),
        ('table.add_column("travels as")', True),
    ],
)
def test_old_words_are_found_in_messages_only(text: str, is_old: bool) -> None:
    assert bool([*words.find_old_messages(_module(text))]) is is_old


@pytest.mark.parametrize(
    ("name", "is_participle"),
    [
        ("_awaited", True),
        ("kept", True),
        ("built", True),
        ("need", False),
        ("_seed", False),
        ("wait_until_started", False),
        ("built_image", False),
        ("red", False),
    ],
)
def test_a_participle_is_recognised(name: str, is_participle: bool) -> None:
    assert words.is_participle(name) is is_participle


def test_a_sentence_ends_at_its_stop_and_a_paragraph() -> None:
    sentence = " ".join(["word"] * words.LONGEST_SENTENCE)
    assert words.long_sentences(f"{sentence}. {sentence}.\n\n{sentence}\n- {sentence}") == []
    assert words.long_sentences(f"Two {sentence}.") == [f"Two {sentence}."]


def test_measures_count_each_place_with_its_line() -> None:
    module = _module("def told():\n    answer = found = 1\n    return answer, found\n")
    assert [*words.find_participles(module)] == ["1: told"]
    assert [*words.MEASURES["assignments to answer"](module)] == ["2: answer"]
    assert [*words.MEASURES["assignments to vague nouns"](module)] == ["2: found"]


def test_a_small_module_is_one_that_one_other_imports() -> None:
    small = words.Module(name="chutes_wrappers.a.small", text="x = 1\n")
    user = words.Module(name="chutes_wrappers.a.user", text="from chutes_wrappers.a.small import x\n")
    other = words.Module(name="chutes_wrappers.b.other", text="from chutes_wrappers.a import small\n")
    assert words.small_modules([small, user]) == [small.name]
    assert words.small_modules([small, user, other]) == []


def test_the_script_prints_each_checkout_and_the_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for count in (1, 2):
        folder = tmp_path / str(count) / "chutes_wrappers" / "core"
        folder.mkdir(parents=True)
        for number in range(count):
            (folder / f"part{number}.py").write_text("def read_part() -> None:\n    pass\n")
    assert words.main([str(tmp_path / "1"), str(tmp_path / "2")]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert any(row.startswith("modules") and row.split()[-2:] == ["1", "2"] for row in rows)
    assert words.main(["--list", "functions", str(tmp_path / "1")]) == 0
    assert "chutes_wrappers/core/part0.py:1" in capsys.readouterr().out
