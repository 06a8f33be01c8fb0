"""The words of ``--set``, such as ``max_instances=2``: validation of the fields of a deployed chute (PLATFORM.md, section 5)."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.files import read_regular_file
from chutes_wrappers.core.overruled_rules import describe_rule, is_overruled
from chutes_wrappers.core.program import NAMES

_NUMBERS = tuple(name for name in platform_rules.CHANGEABLE_FIELDS if name in platform_rules.CHUTE_RANGES)
_LIST_OF_FIELDS = f"the fields are {', '.join(platform_rules.CHANGEABLE_FIELDS)}"
# What only a deployment changes: arguments of Chute(…) and NodeSelector(…).
_DEPLOYED_FIELDS = frozenset(
    (
        *(*platform_rules.CHUTE_RANGES, *platform_rules.NODE_RANGES, "node_selector", "image", "name", "tee", "public"),
        *("include", "exclude", "max_hourly_price_per_gpu", "allow_external_egress", "encrypted_fs", "lock_modules"),
        "revision",
    )
) - {*platform_rules.CHANGEABLE_FIELDS}
_MAX_FILE_BYTES = 4 * 1024**2


def parse_changes(words: Sequence[str]) -> dict[str, Any]:
    """Parse words such as ``max_instances=2`` or ``readme=@FILE`` into the body of a change.

    Raises one ConfigurationError that lists everything that is wrong, with its fix.
    """
    changes: dict[str, Any] = {}
    problems: list[str] = []
    for word in words:
        field, separator, text = word.partition("=")
        if problem := _find_word_problem(field, separator, changes):
            problems.append(problem)
            continue
        try:
            changes[field] = _read_text(field, text)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            problems.append(f"{field}: the file {text[1:]!r} cannot be read ({reason})")
            continue
        problems.extend(_list_value_problems(field, changes[field]))
        changes[field] = _convert(field, changes[field])
    if problems:
        raise ConfigurationError(
            "the chute was not changed: invalid fields or values",
            evidence="\n".join(problems),
            next_step=f"correct what is listed; {_LIST_OF_FIELDS}",
        )
    return changes


def _find_word_problem(field: str, separator: str, changes: Mapping[str, Any]) -> str:
    """Return why ``field`` cannot be changed, and what to do instead; empty if it can."""
    if field == "disabled":
        return f"disabled: use {NAMES.deploy} --disable NAME or {NAMES.deploy} --enable NAME"
    if field in _DEPLOYED_FIELDS:
        return f"{field}: only a deployment changes it; set it in the module, and run {NAMES.deploy} --deploy MODULE"
    if field not in platform_rules.CHANGEABLE_FIELDS:
        matches = difflib.get_close_matches(field, platform_rules.CHANGEABLE_FIELDS, n=1, cutoff=0.5)
        return f"{field[:80]!r} is an unknown field{f': did you mean {matches[0]}?' if matches else ''}"
    if not separator:
        return f"{field}: it has no value; write {field}=VALUE"
    return f"{field}: it is given twice" if field in changes else ""


def _read_text(field: str, text: str) -> str:
    """Return the text of a value; that of ``@FILE`` for a text. Raises OSError or ValueError for a file."""
    if field in _NUMBERS or not text.startswith("@"):
        return text
    return read_regular_file(Path(text[1:]), max_bytes=_MAX_FILE_BYTES).decode("utf-8")


def _list_value_problems(field: str, text: str) -> Iterator[str]:
    rule = None
    if field in _NUMBERS or field in platform_rules.MAX_TEXT_LENGTHS:
        rule = platform_checks.find_setting_rule(field, text)
    elif not text.isprintable() and field == "logo_id":
        yield "logo_id: it is not the id of a logo"
    if rule is None:
        return
    if field in _NUMBERS:
        lowest, highest = platform_rules.CHUTE_RANGES[field]
        kind = "a number" if field in platform_rules.FRACTIONS else "a whole number"
        problem = f"{field} is {text[:80]!r}: give {kind} from {lowest:g} to {highest:,g}"
    else:
        limit = platform_rules.MAX_TEXT_LENGTHS[field]
        problem = f"{field} has {len(text):,} characters: give at most {limit:,}"
    if not is_overruled(rule, problem):
        yield f"{problem}\n  {describe_rule(rule)}"


def _convert(field: str, text: str) -> Any:
    """Return the number that a text means, or the text when the user overruled that it must be one."""
    if field not in _NUMBERS:
        return text
    try:
        return float(text) if field in platform_rules.FRACTIONS else int(float(text))
    except (ValueError, OverflowError):
        return text
