"""The limits of valid values, and completion by the shell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from chutes_wrappers.cli.verbs.values import (
    FILE,
    GPUS,
    PORT,
    PORT_PAIR,
    RULE,
    SECONDS,
    TIMEOUT,
    ModuleName,
    make_seconds_value,
)

CONTEXT = click.Context(click.Command("x"))
PARAMETER = click.Option(["--x"])


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (PORT, "1", 1),
        (PORT, "65535", 65535),
        (PORT_PAIR, "1:65535", "1:65535"),
        (SECONDS, "0", 0),
        (TIMEOUT, "0.1", 0.1),
        (make_seconds_value(5), "5", 5),
        (GPUS, "", ""),
        (GPUS, "none", "none"),
        (GPUS, "999", "999"),
        (FILE, "", None),
        (FILE, "a/b", Path("a/b")),
    ],
)
def test_a_valid_value_is_accepted(kind: click.ParamType[Any], text: str, value: object) -> None:
    assert kind.convert(text, None, None) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (PORT, "0"),
        (PORT, "65536"),
        (PORT_PAIR, "0:1"),
        (PORT_PAIR, "65536:1"),
        (SECONDS, "-0.1"),
        (SECONDS, "inf"),
        (TIMEOUT, "0"),
        (make_seconds_value(5), "4.9"),
        (GPUS, "1000"),
        (GPUS, "alle"),
    ],
)
def test_an_invalid_value_is_a_usage_error(kind: click.ParamType[Any], text: str) -> None:
    with pytest.raises(click.BadParameter, match=f"'{text}' is not a "):
        kind.convert(text, None, None)


def test_a_module_of_another_folder_is_completed_by_the_shell() -> None:
    (item,) = ModuleName().shell_complete(CONTEXT, PARAMETER, "elsewhere/dep")
    assert (item.value, item.type) == ("elsewhere/dep", "file")


def test_rules_are_completed_and_an_unknown_one_is_rejected() -> None:
    assert [item.value for item in RULE.shell_complete(CONTEXT, PARAMETER, "tee-")] == [
        "tee-required",
        "tee-placement",
        "tee-change",
        "tee-name",
    ]
    assert RULE.convert("tee-name", None, None) == "tee-name"
    with pytest.raises(click.BadParameter, match="did you mean tee-name"):
        RULE.convert("tee-nam", None, None)
