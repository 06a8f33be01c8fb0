"""All checks of a module for what the platform would reject or what would fail there, as far as this machine can know.

They need no account and no engine. Pure; the rules are those of ``core/platform_rules.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.overruled_rules import describe_rule, is_overruled
from chutes_wrappers.core.routes import Route
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.preflight.cords import find_cord_problems
from chutes_wrappers.host.preflight.headers import find_header_problems
from chutes_wrappers.host.preflight.placement import find_placement_problems
from chutes_wrappers.host.preflight.problem import Problem, sort_problems
from chutes_wrappers.host.preflight.settings import find_setting_problems
from chutes_wrappers.host.preflight.source import find_source_problems


def find_problems(
    facts: ModuleFacts, described: Mapping[str, Any], code: str, *, username: str, routes: Sequence[Route] = ()
) -> list[Problem]:
    """Return every problem of the module with the source ``code`` that defines ``described`` (``sdk/describe.py``).

    They are in the order of the API's own checks. ``routes`` are those of its manifest.
    """
    file = str(facts.path)
    return sort_problems(
        [
            *find_placement_problems(described, file),
            *find_source_problems(facts, described, code),
            *find_setting_problems(facts, described, username),
            *find_cord_problems(described, file),
            *find_header_problems(facts, described, code, routes),
        ]
    )


def check_not_rejected(problems: Sequence[Problem], file: str) -> None:
    """Raise one ConfigurationError with every rejection among ``problems`` of the module in ``file``, each with its fix.

    A rule that the user overruled rejects nothing.
    """
    rejections = [each for each in problems if each.severity == "rejected" and not is_overruled(each.rule, str(each))]
    if rejections:
        raise ConfigurationError(
            "Chutes would reject this module",
            where=file,
            evidence="\n".join(map(_format_rejection, rejections)),
            next_step="correct what is listed, then run the command again",
        )


def _format_rejection(problem: Problem) -> str:
    rule = f"\n  {describe_rule(problem.rule)}" if problem.rule else ""
    return f"{problem}\n  fix: {problem.fix}{rule}"
