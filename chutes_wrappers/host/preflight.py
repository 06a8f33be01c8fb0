"""What the platform would refuse of a module, as far as it can be known here: all of it at once. Pure.

The rules are the API's (PLATFORM.md, sections 2 and 4), which it applies when a chute is deployed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import WrapperError


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What would be refused, and what to change."""

    what: str
    fix: str


def problems(described: Mapping[str, Any], code: str, tagline: str = "") -> list[Problem]:
    """Everything that the API would refuse of a module with this source that defines ``described`` (``sdk/describe.py``)."""
    return [*_of_source(code), *_of_texts(tagline), *_of_settings(described), *_of_cords(described["cords"])]


def check(found: Sequence[Problem], where: str) -> None:
    """Raise WrapperError that lists ``found``, if there is anything."""
    if not found:
        return
    raise WrapperError(
        f"Chutes would refuse the module for {len(found)} reason{'s' if len(found) > 1 else ''}",
        where=where,
        evidence="\n".join(f"{problem.what}: {problem.fix}" for problem in found),
        next_step="correct what is named, and emulate again",
    )


def _of_source(code: str) -> Iterator[Problem]:
    if len(code) > platform_rules.LONGEST_SOURCE:
        yield Problem(
            what=f"the module has {len(code):,} characters, and at most {platform_rules.LONGEST_SOURCE:,} are taken",
            fix="move code and data into the image",
        )
    imports = (node for node in ast.parse(code).body if isinstance(node, ast.ImportFrom))
    if any(node.module == "__future__" and node.names[0].name == "annotations" for node in imports):
        yield Problem(what="`from __future__ import annotations` breaks the start of a module", fix="remove that line")


def _of_texts(tagline: str) -> Iterator[Problem]:
    if len(tagline) > platform_rules.LONGEST_TAGLINE:
        yield Problem(
            what=f"the tagline has {len(tagline):,} characters, and at most {platform_rules.LONGEST_TAGLINE:,} are taken",
            fix="shorten CHUTE_TAGLINE",
        )


def _of_settings(described: Mapping[str, Any]) -> Iterator[Problem]:
    for name, (low, high) in platform_rules.CHUTE_RANGES.items():
        value = described.get(name)
        if isinstance(value, int | float) and not low <= value <= high:
            yield Problem(what=f"{name} is {value}", fix=f"set it between {low} and {high} on the Chute")


def _of_cords(cords: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    for cord in cords:
        name = f"{cord['public_api_method']} {cord['public_api_path']}"
        if not platform_rules.API_INTERNAL_PATH.match(cord["path"]):
            yield Problem(
                what=f"the cord {name} has the internal path {cord['path']!r}",
                fix="name it with lower case letters, digits and '_', each part beginning with a letter",
            )
        if not cord["public_api_path"]:
            continue
        if not platform_rules.API_PUBLIC_PATH.match(cord["public_api_path"]):
            yield Problem(
                what=f"the cord {name} has a public path that is refused",
                fix="name it with lower case letters, digits, '_' and '-', each part beginning with a letter",
            )
        if cord["public_api_method"] not in platform_rules.API_PUBLIC_METHODS:
            yield Problem(
                what=f"the cord {name} is public as {cord['public_api_method']}, and one such cord gets the whole chute refused",
                fix="publish it as POST (leave public_methods out); the service still gets its own method",
            )
