from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.modules.name_checks import check_names

FACTS = ModuleFacts(
    path=Path("/x/deploy_case.py"), chute_name="case", chute_tag="v1.0.0", base_image="b", service_ports=(8020,)
)


@pytest.mark.parametrize("name", ["abc", "Team/case-1.x_y", "n" * 127])
def test_valid_names_are_accepted(name: str) -> None:
    check_names(replace(FACTS, chute_name=name), "tester")


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("chute_name", "ab", "3 to 127"),
        ("chute_name", "n" * 128, "3 to 127"),
        ("chute_name", "two words", "letters, digits"),
        ("chute_name", "-case", "the first a letter or digit"),
        ("chute_tag", "1", "2 to 33"),
        ("chute_tag", "v1/2", "letters, digits"),
    ],
)
def test_an_invalid_name_is_reported_with_its_rule_and_module(field: str, value: str, rule: str) -> None:
    changed = {"chute_name": FACTS.chute_name, "chute_tag": FACTS.chute_tag, field: value}
    facts = replace(FACTS, chute_name=changed["chute_name"], chute_tag=changed["chute_tag"])
    with pytest.raises(ConfigurationError) as caught:
        check_names(facts, "tester")
    for part in (field.upper(), repr(value), "/x/deploy_case.py"):
        assert part in str(caught.value)
    assert rule in str(caught.value.next_step)


@pytest.mark.parametrize("username", ["ab", "a name", "n" * 16, ""])
def test_an_invalid_username_is_reported_with_its_source(username: str) -> None:
    with pytest.raises(ConfigurationError, match=r"CHUTES_USERNAME.*username"):
        check_names(FACTS, username)
