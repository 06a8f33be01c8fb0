"""What counts as a difference between two checkouts, and what the facts are made of."""

from __future__ import annotations

import pytest

from acceptance import facts
from acceptance.checkout_recording import COMMAND_LINES
from acceptance.compare_checkouts import Comparison, compare, find_uncovered

OLD = {
    "commands": "call doctor",
    "--call a /b --json / exit code": 0,
    "--call a /b --json / stdout / status": 200,
    "--call a /b --json / stdout / milliseconds": 12,
    "--call a /b --json / stdout / text": "the call was answered",
    "--help call / --data, -d JSON": True,
    "--doctor / exit code": 1,
}
AGAIN = {**OLD, "--call a /b --json / stdout / milliseconds": 13}
NOTHING = Comparison(differences=[], reworded=[], unstable=["milliseconds"])


def compare_with(changes: dict[str, object]) -> Comparison:
    return compare(OLD, AGAIN, {**OLD, **changes})


def test_a_measured_value_is_no_difference_but_its_type_is() -> None:
    key = "--call a /b --json / stdout / milliseconds"
    assert compare_with({key: 99}) == NOTHING
    assert compare_with({key: "99"}).differences == [f"other type: {key}: 12 → '99'"]


def test_a_changed_key_is_found() -> None:
    new = {name.replace("status", "code"): value for name, value in OLD.items()}
    assert compare(OLD, AGAIN, new).differences == [
        "added: --call a /b --json / stdout / code = 200",
        "missing: --call a /b --json / stdout / status",
    ]


def test_a_changed_exit_code_is_found_also_where_it_was_not_stable() -> None:
    key = "--doctor / exit code"
    assert compare_with({key: 2}).differences == [f"{key}: 1 → 2"]
    assert compare(OLD, {**AGAIN, key: 0}, OLD).unstable == [key, "milliseconds"]


def test_a_missing_flag_is_found() -> None:
    flag = "--help call / --data, -d JSON"
    new = {name: value for name, value in OLD.items() if name != flag}
    assert compare(OLD, AGAIN, new).differences == [f"missing: {flag}"]


def test_a_sentence_may_be_worded_in_another_way() -> None:
    result = compare_with({"--call a /b --json / stdout / text": "the chute returned a response"})
    assert (result.differences, len(result.reworded)) == ([], 1)


def test_a_fact_that_only_one_recording_of_the_old_checkout_has_is_not_compared() -> None:
    result = compare(OLD, {**AGAIN, "--status a / instances / 1": "x"}, {**OLD, "--status a / instances / 1": "y"})
    assert (result.differences, result.unstable) == ([], ["--status a / instances / 1", "milliseconds"])


def test_a_command_without_a_success_is_named() -> None:
    assert find_uncovered(OLD) == ["doctor"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": [1, {}]}', {"line / a / 0": 1, "line / a / 1": {}}),
        ('{"log": "one"}\n{"log": "two"}\n', {"line / log": "one"}),
        ("✓ done\n", {"line": "✓ done\n"}),
    ],
)
def test_standard_output_becomes_facts(text: str, expected: dict[str, object]) -> None:
    assert dict(facts.flatten(facts.parse_output(text), "line")) == expected


def test_flags_and_commands_are_read_from_help() -> None:
    assert facts.parse_flags(
        "Flags:\n  --data, -d JSON   the body.\n  --allow-origin ORIGIN\n        a page\n  ./x --y  # z\n"
    ) == [
        "--data, -d JSON",
        "--allow-origin ORIGIN",
    ]
    assert facts.parse_commands(
        "  --call NAME PATH  Call.\n  --list-images     List.\n  --debug  All.\n  --yes, -y  No.\n"
    ) == [
        "call",
        "list-images",
    ]


def test_variables_are_read_from_modules_and_from_source() -> None:
    assert facts.parse_module('"""Text."""\nPORTS = [1]\nimport os\n') == {"PORTS": "[1]"}
    assert facts.find_names('os.environ[\'A_B\'] f"{C_D} x" "${E_F:-}" "$G_H" # I_J') == {"A_B", "E_F", "G_H"}


def test_each_command_has_two_failures() -> None:
    sections = facts.parse_sections(COMMAND_LINES.read_text(encoding="utf-8"))
    verbs = [line.split()[0] for line in sections["failures"]]
    assert [verb for verb in set(verbs) if verbs.count(verb) < 2] == []
    assert [*sections] == ["template", "before the service", "with the service", "failures", "deletion"]
