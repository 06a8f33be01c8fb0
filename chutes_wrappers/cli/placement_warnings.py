"""What is wrong with a module for the platform, as warnings of commands that go on all the same."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from chutes_wrappers.cli import output
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.host.modules.definition import describe_outside
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.preflight.placement import placement_problems
from chutes_wrappers.host.preflight.preflight import check_not_refused
from chutes_wrappers.host.preflight.problem import Problem
from chutes_wrappers.host.staging import staged

_ANY_USERNAME = "local"  # the placement does not depend on it


def warn(problems: Iterable[Problem]) -> None:
    """Say each of ``problems``, and its fix."""
    for problem in problems:
        refused = "Chutes would refuse this: " if problem.severity == "refused" else ""
        output.warning(f"{refused}{problem}")
        output.report(f"  Next: {problem.fix}")


def warn_of_placement(facts: ModuleFacts, described: Mapping[str, Any]) -> None:
    """Warn where the platform would refuse TEE, GPU or name of the module that defines ``described``."""
    warn(placement_problems(described, str(facts.path)))


def load_and_warn_of_placement(facts: ModuleFacts) -> None:
    """As ``warn_of_placement``, where nothing else loads the module; a module that cannot be loaded is not a problem here."""
    warn(_loaded_problems(facts))


def check_placement(facts: ModuleFacts) -> None:
    """Raise ConfigurationError for what ``load_and_warn_of_placement`` warns of: before a manifest is made, or missed."""
    check_not_refused(_loaded_problems(facts), str(facts.path))


def _loaded_problems(facts: ModuleFacts) -> list[Problem]:
    with contextlib.suppress(WrapperError), staged(facts, Manifest(), username=_ANY_USERNAME) as stage:
        return [*placement_problems(describe_outside(stage, output.report), str(facts.path))]
    return []
