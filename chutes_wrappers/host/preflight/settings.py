"""What the platform would refuse among a chute's names, texts and numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chutes_wrappers.core import platform_rules
from chutes_wrappers.host.modules.name_checks import USERNAME_SOURCE
from chutes_wrappers.host.preflight.problem import Problem

_TEXTS = {"readme": platform_rules.LONGEST_README, "tagline": platform_rules.LONGEST_TAGLINE}
_FRACTIONS = ("scaling_threshold",)


def setting_problems(described: Mapping[str, Any], username: str, file: str) -> Iterator[Problem]:
    """Problems of what the module in ``file`` gives to ``Chute(…)`` and to its image, and of the account's name."""
    yield from _of_names(described, username, file)
    yield from _of_texts(described, f"{file}, Chute(…)")
    yield from _of_numbers(described, platform_rules.CHUTE_RANGES, f"{file}, Chute(…)")


def _of_names(described: Mapping[str, Any], username: str, file: str) -> Iterator[Problem]:
    image = described["image"]
    named = [
        ("chute name", described["name"], platform_rules.chute_name_rule(described["name"]), file),
        ("username", username, platform_rules.username_rule(username), USERNAME_SOURCE),
    ]
    if image["tag"]:  # one that is only named is the platform's already
        tag_rule = platform_rules.image_name_rule(image["tag"], platform_rules.IMAGE_TAG_LENGTH)
        named.append(("image name", image["name"], platform_rules.image_name_rule(image["name"]), file))
        named.append(("image tag", image["tag"], tag_rule, file))
    for kind, value, rule, where in named:
        if rule:
            yield Problem(what=f"the {kind} {value[:200]!r} breaks a rule", where=where, fix=f"use {rule}")


def _of_texts(described: Mapping[str, Any], where: str) -> Iterator[Problem]:
    for name, longest in _TEXTS.items():
        length = len(described[name] or "")
        if length > longest:
            yield Problem(
                what=f"{name} has {length:,} characters, more than {longest:,}", where=where, fix=f"shorten the {name}"
            )


def _of_numbers(values: Mapping[str, Any], limits: Mapping[str, tuple[float, float]], where: str) -> Iterator[Problem]:
    for name, (lowest, highest) in limits.items():
        if not _is_within(values[name], lowest, highest, whole=name not in _FRACTIONS):
            kind = "a number" if name in _FRACTIONS else "a whole number"
            yield Problem(
                what=f"{name} is {values[name]!r}, not {kind} from {lowest:,} to {highest:,}",
                where=where,
                fix=f"set {name} to {kind} from {lowest} to {highest}",
            )


def _is_within(value: Any, lowest: float, highest: float, *, whole: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return lowest <= value <= highest and (not whole or value == int(value))
