"""Problems of a module's placement (TEE, GPU, name), as warnings of commands that continue anyway."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from chutes_wrappers.cli import output
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.host.modules.definition import describe_staged_module
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.preflight.placement import find_placement_problems
from chutes_wrappers.host.preflight.preflight import check_not_rejected
from chutes_wrappers.host.preflight.problem import Problem
from chutes_wrappers.host.staging import create_stage

_ANY_USERNAME = "local"  # the placement does not depend on it


def print_problems(problems: Iterable[Problem]) -> None:
    """Print each problem and its fix as a warning."""
    for problem in problems:
        prefix = "Chutes would reject this: " if problem.severity == "rejected" else ""
        output.warning(f"{prefix}{problem}")
        output.report_next_step(problem.fix)


def warn_about_placement(facts: ModuleFacts, definition: Mapping[str, Any]) -> None:
    """Warn where the platform would reject TEE, GPU or name of the module with this ``definition``."""
    print_problems(find_placement_problems(definition, str(facts.path)))


def load_and_warn_about_placement(facts: ModuleFacts) -> None:
    """Load the module and warn as ``warn_about_placement`` does. A module that cannot be loaded is ignored."""
    print_problems(_find_problems(facts))


def check_placement(facts: ModuleFacts) -> None:
    """Raise ConfigurationError for what ``load_and_warn_about_placement`` warns about.

    Call it before a manifest is created, or before its absence is reported.
    """
    check_not_rejected(_find_problems(facts), str(facts.path))


def _find_problems(facts: ModuleFacts) -> list[Problem]:
    with contextlib.suppress(WrapperError), create_stage(facts, Manifest(), username=_ANY_USERNAME) as stage:
        return [*find_placement_problems(describe_staged_module(stage, output.report), str(facts.path))]
    return []
