"""The README's tables of commands and flags say what the declarations say."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest

from chutes_wrappers.cli.usage import described
from chutes_wrappers.cli.verbs.groups import VERBS
from chutes_wrappers.cli.verbs.verb import COMMON, Verb

from .readme import README

# Heading → the command whose flags the table below it lists. They are all there, but for those of every local server.
FLAG_TABLES = {"The emulator": "emulate", "From the command line": "call"}
OF_LOCAL_SERVERS = {"--allow-host", "--allow-origin"}
# How the tables abbreviate what a command needs.
SHORT = {"MODULE": "M"}
CODE = re.compile(r"`(-[^`]+)`")


def rows(heading: str, first_column: str) -> list[tuple[str, str]]:
    """The first two cells of each row of the first table below a heading that has this first column."""
    section = re.search(
        rf"^#+ {heading}\n(.*?)(?=^#|\Z)", re.sub(r"^```.*?^```", "", README, flags=re.M | re.S), re.M | re.S
    )
    assert section, heading
    table = re.search(rf"^\| {first_column} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", section[1], re.M)
    assert table, f"{heading}: no table of {first_column}"
    cells = [line.strip("|").split(" | ") for line in table[1].splitlines()]
    return [(row[0].strip(), row[1].strip()) for row in cells]


def command_rows() -> list[tuple[str, str]]:
    return [*rows("The steps one by one", "command"), *rows("On the platform", "flag")]


def option_of(verb: Verb, name: str) -> click.Option | None:
    return next(
        (option for option in (*verb.options(), *COMMON) if name in (*option.opts, *option.secondary_opts)), None
    )


def defaults_in(text: str) -> set[str]:
    return set(re.findall(r"\[([^\]]+)\](?!\()", re.sub(r"`[^`]*`", "", text)))


@pytest.mark.parametrize(("heading", "name"), FLAG_TABLES.items())
def test_a_table_of_flags_has_those_of_its_command_with_their_values_and_defaults(heading: str, name: str) -> None:
    verb, listed = VERBS[name], set()
    for first, meaning in rows(heading, "flag"):
        for code in CODE.findall(first):
            flag, _, value = code.partition(" ")
            option = option_of(verb, flag)
            assert option is not None, f"{flag} does not belong to --{name}"
            assert not value or value == str(option.metavar).strip("[]")
            assert defaults_in(meaning) <= defaults_in(described(option)), code
            listed.add(option.opts[0])
    assert listed == {option.opts[0] for option in verb.options()} - OF_LOCAL_SERVERS


def test_the_tables_of_commands_have_all_of_them_with_what_they_need() -> None:
    listed = set()
    for first, _ in command_rows():
        for code in CODE.findall(first):
            name, *needed = re.sub(r"\s*\[[^]]*\]", "", code)[2:].split()
            assert name in VERBS, code
            expected = VERBS[name].needed.split()
            assert needed in ([], expected, [SHORT.get(word, word) for word in expected]), code
            listed.add(name)
    assert listed | {"completion"} == {*VERBS}


def flags_in_rows() -> Iterator[tuple[list[Verb], str]]:
    """The verbs of a row, and a flag that the row names."""
    for first, second in command_rows():
        named = [code.partition(" ")[0] for code in CODE.findall(f"{first} {second}")]
        verbs = [VERBS[name[2:]] for name in named if name[2:] in VERBS]
        optional = re.findall(r"\[(--[a-z-]+)\]", first)
        for flag in [name for name in named if name[2:] not in VERBS] + optional:
            yield verbs, flag


def test_a_row_names_flags_of_its_own_commands_alone() -> None:
    pairs = list(flags_in_rows())
    assert len(pairs) > 10
    assert [flag for verbs, flag in pairs if not any(option_of(verb, flag) for verb in verbs)] == []


def test_each_flag_is_in_the_readme() -> None:
    flags = {option.opts[0] for verb in VERBS.values() for option in verb.options()}
    flags |= {option.opts[0] for option in COMMON} | {verb.flag for verb in VERBS.values()}
    assert [flag for flag in sorted(flags) if not re.search(rf"(?<![\w-]){flag}(?![\w-])", README)] == []
