"""Every documented command line is parsed as before, in any order of its flags, and with its command as a plain word.

``recorded_command_lines.json`` is what the parser of commit 7ee14b2, in which each command was an option of one single
command, made of them: "parts" are the flags with their values, "error" is a usage error, "help" a help page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import pytest
from click.core import ParameterSource
from hypothesis import given
from hypothesis import strategies as st

from chutes_wrappers.cli import main
from chutes_wrappers.cli.main import deploy
from chutes_wrappers.cli.usage import format_help
from chutes_wrappers.cli.verbs.declarations import Flag
from chutes_wrappers.cli.verbs.groups import GROUPS, VERBS
from chutes_wrappers.cli.verbs.verb import COMMON, Common, Verb
from docs.record import COMMAND
from tests.scenario import ROOT

from .command_lines import find_documented_lines, find_shown_lines

RECORDS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("recorded_command_lines.json").read_text(encoding="utf-8")
)
RUNNING = [record for record in RECORDS if "flags" in record]
WITH_COMMAND = [record for record in RUNNING if record["verb"]]
# The old parser parsed --watch without a value as -1.
BARE_WATCH = -1.0


def parse(words: Sequence[str]) -> dict[str, Any]:
    """Parse a command line to the form of the records."""
    parsed: list[dict[str, Any]] = []

    def run(verb: Verb, context: click.Context) -> None:
        operands = [context.params[str(each.name)] for each in verb.operands]
        parsed.append({"verb": verb.name, "operands": operands, "flags": read_flags(context)})

    def show_menu(context: click.Context) -> Common:
        parsed.append({"verb": None, "operands": [], "flags": read_flags(context)})
        return Common()

    with patch.object(Verb, "invoke", run), patch.multiple(main, pop_common=show_menu, _run_menu=lambda common: 0):
        try:
            deploy.main(list(words), prog_name="deploy.sh", standalone_mode=False)
        except click.UsageError:
            return {"error": True}
    return parsed[0] if parsed else {"help": True}


def read_flags(context: click.Context) -> dict[str, Any]:
    flags = [each for each in context.command.params if isinstance(each, click.Option)]
    return {
        str(each.name): plain(context.params[str(each.name)])
        for each in flags
        if each.name in context.params and context.get_parameter_source(str(each.name)) is ParameterSource.COMMANDLINE
    }


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value


def expected(record: dict[str, Any]) -> dict[str, Any]:
    flags = dict(record["flags"])
    if flags.get("watch") == BARE_WATCH:
        (watch,) = [option for option in VERBS[record["verb"]].get_options() if option.name == "watch"]
        flags["watch"] = watch.flag_value
    return {"verb": record["verb"], "operands": record["operands"], "flags": flags}


def readable(record: dict[str, Any]) -> str:
    return " ".join(record["words"]) or "(nothing)"


@pytest.mark.parametrize("record", RUNNING, ids=readable)
def test_a_recorded_command_line_is_parsed_as_before(record: dict[str, Any]) -> None:
    assert parse(record["words"]) == expected(record)


# The command itself checks combinations of flags.
LATER = (["--build", "M", "--local", "--public"], ["--build", "M", "--local", "--json"])


@pytest.mark.parametrize(
    "record", [one for one in RECORDS if "error" in one and one["words"] not in LATER], ids=readable
)
def test_a_usage_error_stays_a_usage_error(record: dict[str, Any]) -> None:
    assert parse(record["words"]) == {"error": True}


@pytest.mark.parametrize("record", [one for one in RECORDS if "help" in one], ids=readable)
def test_a_request_for_help_stays_a_request_for_help(
    record: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert parse(record["words"]) == {"help": True}
    assert capsys.readouterr().out.strip()


@st.composite
def reordered(draw: st.DrawFn) -> tuple[dict[str, Any], list[list[str]]]:
    """Draw a record, and its parts in another order; repeated flags keep their order."""
    record = draw(st.sampled_from(WITH_COMMAND))
    names = [name_of(part) for part in record["parts"]]
    order = draw(st.permutations(range(len(names))))
    taken = {
        name: iter([part for part, own in zip(record["parts"], names, strict=True) if own == name]) for name in names
    }
    return record, [next(taken[names[index]]) for index in order]


def name_of(part: Sequence[str]) -> str:
    name = part[0].partition("=")[0] if part[0].startswith("--") else part[0][:2]
    return {"--no-wait": "--wait", "-q": "-q", "--data": "-d", "--form": "-F"}.get(name, name)


def words_of(parts: Sequence[Sequence[str]]) -> list[str]:
    return [word for part in parts for word in part]


@given(reordered())
def test_the_order_of_flags_does_not_matter(drawn: tuple[dict[str, Any], list[list[str]]]) -> None:
    record, parts = drawn
    assert parse(words_of(parts)) == expected(record)


@given(reordered())
def test_the_command_may_be_a_plain_word(drawn: tuple[dict[str, Any], list[list[str]]]) -> None:
    record, parts = drawn
    plain_parts = [as_word(part, record["verb"]) for part in parts]
    assert parse(words_of(plain_parts)) == expected(record)


def as_word(part: Sequence[str], verb: str) -> list[str]:
    name, has_value, value = part[0].partition("=")
    if name != f"--{verb}":
        return list(part)
    return [verb, *([value] if has_value else []), *part[1:]]


@given(reordered(), st.sampled_from(sorted(VERBS)), st.booleans())
def test_a_second_command_is_a_usage_error(
    drawn: tuple[dict[str, Any], list[list[str]]], second: str, is_first: bool
) -> None:
    _, parts = drawn
    words = words_of(parts)
    operands = ["x"] * len(VERBS[second].operands)
    more = [f"--{second}", *operands]
    if words[-1] == "--watch" and not is_first:
        words.append("5")
    assert parse([*more, *words] if is_first else [*words, *more]) == {"error": True}


@pytest.mark.parametrize("verb", sorted(VERBS))
@pytest.mark.parametrize("words", ["--call x /y -d", "--call x /y --data", "--create i --name", "--deploy m --logo"])
def test_a_flags_value_is_not_taken_for_a_command(words: str, verb: str) -> None:
    for value in (verb, f"--{verb}"):
        parsed = parse([*words.split(), value])
        assert value in parsed["flags"].values()


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_no_word_after_two_dashes_is_a_command(verb: str) -> None:
    assert parse(["--", f"--{verb}", "x"]) == {"error": True}
    assert parse(["--", verb]) == {"error": True}
    parsed = parse(["build", "--local", "--", verb])
    assert (parsed["verb"], parsed["operands"]) == ("build", [verb])


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_an_operand_is_not_taken_for_a_command(verb: str) -> None:
    assert parse(["--status", verb])["operands"] == [verb]
    assert parse(["status", verb])["operands"] == [verb]


@pytest.mark.parametrize("watched", [["--watch"], ["--watch", "5"], ["--watch=5"]])
@pytest.mark.parametrize("verb", ["status", "emulate"])
def test_a_command_after_a_flag_is_not_its_optional_value(verb: str, watched: list[str]) -> None:
    expected = parse([f"--{verb}", "deploy_x", *watched])
    assert "error" not in expected
    assert parse([*watched, verb, "deploy_x"]) == parse([*watched, f"--{verb}", "deploy_x"]) == expected
    for words in ([*watched, "--quiet", verb, "deploy_x"], [verb, *watched, "--quiet", "--", "deploy_x"]):
        assert parse(words) == {**expected, "flags": {**expected["flags"], "quiet": True}}


def test_a_flag_takes_a_value_in_every_command_or_in_none() -> None:
    """A command line can therefore be parsed before its command is known."""
    shapes: dict[str, set[tuple[Any, ...]]] = {}
    for option in (option for verb in VERBS.values() for option in (*verb.get_options(), *COMMON)):
        has_optional_value = isinstance(option, Flag) and option.has_optional_value
        shape = (option.is_flag, option.nargs, has_optional_value, option.name)
        for name in (*option.opts, *option.secondary_opts):
            shapes.setdefault(name, set()).add(shape)
    assert [name for name, found in shapes.items() if len(found) > 1] == []
    assert not {name[2:] for name in shapes} & {*VERBS}


DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]


def documented_lines() -> Iterator[list[str]]:
    for path in DOCUMENTS:
        yield from find_documented_lines(path.read_text(encoding="utf-8"))
    for path in (*sorted((ROOT / "examples").glob("*.py")), ROOT / "deploy_example.py"):
        yield from find_shown_lines(path.read_text(encoding="utf-8"))
    yield from find_shown_lines(COMMAND)
    for topic in (*(group.name for group in GROUPS), *VERBS):
        yield from find_shown_lines(format_help(topic))


def test_every_documented_command_line_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [words for words in documented_lines() if is_complete(words)]
    assert len(lines) > 60
    assert [words for words in lines if "error" in parse(words)] == []


def is_complete(words: Sequence[str]) -> bool:
    """Return whether a document shows a complete command line, not only the name of a flag or a command."""
    verbs = [word.removeprefix("--") for word in words if word.removeprefix("--") in VERBS]
    needed = len(VERBS[verbs[0]].operands) if verbs else 0
    return (
        bool(verbs)
        and not any(mark in word for word in words for mark in ("|", "[", "SHELL"))
        and len([word for word in words if not re.match("-", word) and word != verbs[0]]) >= needed
    )


def test_the_seeds_command_lines_are_recorded() -> None:
    recorded = {tuple(record["words"]) for record in RUNNING}
    for line in (
        "--list-images",
        "--list-chutes",
        "--status myservice",
        "--discover deploy_myservice",
        "--build deploy_myservice --local",
        "--build deploy_myservice --debug",
        "--run-docker deploy_myservice",
        "--run deploy_myservice --port 9000",
        "--deploy deploy_myservice --accept-fee",
        "--deploy deploy_myservice --public",
        "--delete myservice",
    ):
        assert tuple(line.split()) in recorded
