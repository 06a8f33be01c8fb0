"""All commands, in groups: the source of help, menu, completion and the checks of the documents."""

from __future__ import annotations

from chutes_wrappers.cli.verbs import change_group, help_group, make_group, platform_group, try_group, use_group
from chutes_wrappers.cli.verbs.verb import Verb

GROUPS = (
    *(make_group.GROUP, try_group.GROUP, platform_group.GROUP),
    *(change_group.GROUP, use_group.GROUP, help_group.GROUP),
)
VERBS: dict[str, Verb] = {str(verb.name): verb for group in GROUPS for verb in group.verbs}
