"""Checks for names that the platform does not accept, before anything is built with them."""

from __future__ import annotations

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.overruled_rules import refuse
from chutes_wrappers.host.modules.module_facts import ModuleFacts

USERNAME_SOURCE = "CHUTES_USERNAME, or ~/.chutes/config.ini"


def check_names(facts: ModuleFacts, username: str) -> None:
    """Raise ConfigurationError for the module's CHUTE_NAME or CHUTE_TAG, or a username, with the rule that it breaks."""
    where = str(facts.path)
    name = facts.chute_name
    for violated in platform_checks.list_chute_name_rules(name):
        refuse(violated, _make_error("CHUTE_NAME", name, platform_checks.find_chute_name_problem(name) or "", where))
    if rule := platform_checks.find_image_name_problem(facts.chute_tag, platform_rules.IMAGE_TAG_LENGTH):
        refuse("image-tag", _make_error("CHUTE_TAG", facts.chute_tag, rule, where))
    if rule := platform_checks.find_username_problem(username):
        refuse("username", _make_error("username", username, rule, USERNAME_SOURCE))


def _make_error(field: str, value: str, rule: str, where: str) -> ConfigurationError:
    return ConfigurationError(
        f"the platform does not accept {field} {value[:200]!r}", where=where, next_step=f"use {rule}"
    )
