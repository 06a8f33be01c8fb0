"""``CHUTE_CHECKS`` of a module."""

from __future__ import annotations

from typing import Any

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.modules.module_checks import (
    CheckRule,
    check_rule_names,
    describe_unknown_route,
    parse_checks,
)


def test_rules_are_read() -> None:
    entry = {"skip": " why ", "status": 404, "headers": {"X-A": "b"}, "after": "POST /items", "timeout": 600}
    assert parse_checks({"POST /x": entry, "OPTIONS /y": {}}, "m.py") == {
        "POST /x": CheckRule(skip="why", status=404, headers={"X-A": "b"}, after="POST /items", timeout_s=600),
        "OPTIONS /y": CheckRule(),
    }


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([1], "it is a list, not a dictionary"),
        ({"/x": {}}, "the key '/x' is not a valid method and path"),
        ({"POST /x": "skip"}, "the value of POST /x is a str, not a dictionary"),
        ({"POST /x": {"skipp": "y"}}, "POST /x has the unknown key 'skipp': did you mean 'skip'?"),
        ({"POST /x": {"skip": True}}, "'skip' of POST /x is True, not the reason as a text"),
        ({"POST /x": {"status": 500}}, "a caller of a chute sees no 5xx"),
        ({"POST /x": {"status": True}}, "'status' of POST /x is True"),
        ({"POST /x": {"headers": {"a b": "c"}}}, "is not a valid header name"),
        ({"POST /x": {"headers": {"a": 1}}}, "not a dictionary of names and texts"),
        ({"POST /x": {"headers": {"a": "x\r\ny"}}}, "the value of a has control characters"),
        ({"POST /x": {"after": "items"}}, "not a method and path"),
        ({"POST /x": {"timeout": 0}}, "not a number of seconds up to 1800"),
        ({"POST /x": {"timeout": 9999}}, "the platform's limit of a call"),
        ({"POST /x": {"after": "GET /y"}, "GET /y": {"after": "POST /x"}}, "is a circle"),
    ],
)
def test_an_invalid_rule_is_explained(value: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_checks(value, "m.py")
    assert reason in str(caught.value)
    assert str(caught.value.where) == "m.py"


def test_an_unknown_route_is_named_with_a_similar_one() -> None:
    check_rule_names(parse_checks({"POST /items": {"after": "GET /items"}}, "m"), ["POST /items", "GET /items"], "m")
    unknown: list[dict[str, Any]] = [{"POST /item": {}}, {"GET /other": {"after": "POST /item"}}]
    for rules in unknown:
        with pytest.raises(ConfigurationError, match="'POST /item'; did you mean POST /items"):
            check_rule_names(parse_checks(rules, "m"), ["POST /items", "GET /other"], "m")


def test_a_similar_route_is_suggested() -> None:
    said = describe_unknown_route("POST /api/2.0/items", ["POST /api/n2_0/items", "GET /x"])
    assert said == "the chute has no route 'POST /api/2.0/items'; did you mean POST /api/n2_0/items?"
    assert describe_unknown_route("Q", []) == "the chute has no route 'Q'"
