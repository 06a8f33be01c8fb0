from __future__ import annotations

from chutes_wrappers.cli.emulation.pasted_lines import merge_lines

EXAMPLE = 'give an example:\n    CHUTE_EXAMPLES = {"POST /a": {"n": 1}}'
RULE = 'excuse it: CHUTE_CHECKS = {"POST /b": {"skip": "the reason"}}'


def test_lines_that_do_not_replace_another_are_pasted_as_they_are() -> None:
    assert merge_lines([EXAMPLE, RULE, EXAMPLE, "no line"], known=["CHUTE_ENV"]) == ""


def test_two_lines_of_a_variable_become_one_assignment() -> None:
    other = EXAMPLE.replace("/a", "/c")
    assert merge_lines([EXAMPLE, RULE, other], known=["CHUTE_CHECKS"]).splitlines() == [
        "    CHUTE_EXAMPLES = {",
        '        "POST /a": {"n": 1},',
        '        "POST /c": {"n": 1},',
        "    }",
        "    CHUTE_CHECKS = {",
        "        # and the entries that the module has",
        '        "POST /b": {"skip": "the reason"},',
        "    }",
    ]
