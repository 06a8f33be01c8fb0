"""Names, texts and numbers of a chute that the platform would reject. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.modules.name_checks import USERNAME_SOURCE
from chutes_wrappers.host.preflight.problem import Problem

_TEXT_LIMITS = {"readme": platform_rules.MAX_README_LENGTH, "tagline": platform_rules.MAX_TAGLINE_LENGTH}
_FRACTIONS = ("scaling_threshold",)


def find_setting_problems(facts: ModuleFacts, described: Mapping[str, Any], username: str) -> Iterator[Problem]:
    """Yield the problems of the arguments of ``Chute(…)`` and of its image, and of the account's name."""
    file = str(facts.path)
    yield from _find_name_problems(facts, described, username)
    yield from _find_text_problems(described, f"{file}, Chute(…)")
    yield from _find_number_problems(described, platform_rules.CHUTE_RANGES, f"{file}, Chute(…)")


def _find_name_problems(facts: ModuleFacts, described: Mapping[str, Any], username: str) -> Iterator[Problem]:
    file, name, image = str(facts.path), described["name"], described["image"]
    chute_name = _format_source("CHUTE_NAME", facts.chute_name, "chute name", name)
    checks = [
        ("chute-name", chute_name, name, platform_checks.find_chute_name_problem(name), file),
        ("username", "the username", username, platform_checks.find_username_problem(username), USERNAME_SOURCE),
    ]
    if image["tag"]:  # without a tag it is only a reference to an image that the platform has already
        image_name = _format_source("CHUTE_NAME", facts.chute_name, "image name", image["name"])
        image_tag = _format_source("CHUTE_TAG", facts.chute_tag, "image tag", image["tag"])
        name_rule = platform_checks.find_image_name_problem(image["name"])
        tag_rule = platform_checks.find_image_name_problem(image["tag"], platform_rules.IMAGE_TAG_LENGTH)
        checks.append(("image-name", image_name, image["name"], name_rule, file))
        checks.append(("image-tag", image_tag, image["tag"], tag_rule, file))
    for rule, source, value, valid_form, where in checks:
        if valid_form:
            yield Problem(
                rule=rule,
                what=f"the platform does not accept {source}: {value[:200]!r}",
                where=where,
                fix=f"use {valid_form}",
            )


def _format_source(variable: str, variable_value: str, kind: str, value: str) -> str:
    # A module may pass another value than that of its variable.
    return f"{variable} as the {kind}" if value == variable_value else f"the {kind}"


def _find_text_problems(described: Mapping[str, Any], where: str) -> Iterator[Problem]:
    for name, limit in _TEXT_LIMITS.items():
        length = len(described[name] or "")
        if length > limit:
            yield Problem(
                rule="text-length",
                what=f"{name} has {length:,} characters, more than {limit:,}",
                where=where,
                fix=f"shorten the {name}",
            )


def _find_number_problems(
    values: Mapping[str, Any], limits: Mapping[str, tuple[float, float]], where: str
) -> Iterator[Problem]:
    for name, (lowest, highest) in limits.items():
        if not _is_within(values[name], lowest, highest, whole=name not in _FRACTIONS):
            kind = "a number" if name in _FRACTIONS else "a whole number"
            yield Problem(
                rule="number-range",
                what=f"{name} is {values[name]!r}, not {kind} from {lowest:,} to {highest:,}",
                where=where,
                fix=f"set {name} to {kind} from {lowest} to {highest}",
            )


def _is_within(value: Any, lowest: float, highest: float, *, whole: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return lowest <= value <= highest and (not whole or value == int(value))
