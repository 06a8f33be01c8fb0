"""The README's tables of commands and flags match the declarations."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest

from chutes_wrappers.cli.usage import describe_option
from chutes_wrappers.cli.verbs.groups import VERBS
from chutes_wrappers.cli.verbs.verb import COMMON, Verb

from .readme import README

# Heading → the command whose flags its table lists: all of them, except those of every local server.
FLAG_TABLES = {"The emulator": "emulate", "From the command line": "call"}
OF_LOCAL_SERVERS = {"--allow-host", "--allow-origin"}
# The tables' abbreviations of operands.
SHORT = {"MODULE": "M"}
CODE = re.compile(r"`(-[^`]+)`")


def find_rows(heading: str, first_column: str) -> list[tuple[str, str]]:
    """Find the first two cells of each row of the first table below a heading with this first column."""
    section = re.search(
        rf"^#+ {heading}\n(.*?)(?=^#|\Z)", re.sub(r"^```.*?^```", "", README, flags=re.M | re.S), re.M | re.S
    )
    assert section, heading
    table = re.search(rf"^\| {first_column} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", section[1], re.M)
    assert table, f"{heading}: no table of {first_column}"
    cells = [line.strip("|").split(" | ") for line in table[1].splitlines()]
    return [(row[0].strip(), row[1].strip()) for row in cells]


def find_command_rows() -> list[tuple[str, str]]:
    return [*find_rows("The steps one by one", "command"), *find_rows("On the platform", "flag")]


def find_option(verb: Verb, name: str) -> click.Option | None:
    return next(
        (option for option in (*verb.get_options(), *COMMON) if name in (*option.opts, *option.secondary_opts)), None
    )


def find_defaults(text: str) -> set[str]:
    return set(re.findall(r"\[([^\]]+)\](?!\()", re.sub(r"`[^`]*`", "", text)))


@pytest.mark.parametrize(("heading", "name"), FLAG_TABLES.items())
def test_a_flag_table_matches_its_command_values_and_defaults(heading: str, name: str) -> None:
    verb, listed = VERBS[name], set()
    for first, meaning in find_rows(heading, "flag"):
        for code in CODE.findall(first):
            flag, _, value = code.partition(" ")
            option = find_option(verb, flag)
            assert option is not None, f"{flag} does not belong to --{name}"
            assert not value or value == str(option.metavar).strip("[]")
            assert find_defaults(meaning) <= find_defaults(describe_option(option)), code
            listed.add(option.opts[0])
    assert listed == {option.opts[0] for option in verb.get_options()} - OF_LOCAL_SERVERS


def test_the_command_tables_have_every_command_with_its_operands() -> None:
    listed = set()
    for first, _ in find_command_rows():
        for code in CODE.findall(first):
            name, *needed = re.sub(r"\s*\[[^]]*\]", "", code)[2:].split()
            assert name in VERBS, code
            expected = VERBS[name].operand_metavars.split()
            assert needed in ([], expected, [SHORT.get(word, word) for word in expected]), code
            listed.add(name)
    assert listed | {"completion"} == {*VERBS}


def find_flags_in_rows() -> Iterator[tuple[list[Verb], str]]:
    """Yield the verbs of a row, and a flag that the row names."""
    for first, second in find_command_rows():
        names = [code.partition(" ")[0] for code in CODE.findall(f"{first} {second}")]
        verbs = [VERBS[name[2:]] for name in names if name[2:] in VERBS]
        optional = re.findall(r"\[(--[a-z-]+)\]", first)
        for flag in [name for name in names if name[2:] not in VERBS] + optional:
            yield verbs, flag


def test_a_row_names_only_flags_of_its_commands() -> None:
    pairs = list(find_flags_in_rows())
    assert len(pairs) > 10
    assert [flag for verbs, flag in pairs if not any(find_option(verb, flag) for verb in verbs)] == []


def test_each_flag_is_in_the_readme() -> None:
    flags = {option.opts[0] for verb in VERBS.values() for option in verb.get_options()}
    flags |= {option.opts[0] for option in COMMON} | {verb.flag for verb in VERBS.values()}
    assert [flag for flag in sorted(flags) if not re.search(rf"(?<![\w-]){flag}(?![\w-])", README)] == []
