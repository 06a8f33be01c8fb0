"""Names that the platform refuses, told before anything is built for them."""

from __future__ import annotations

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.host.modules import ModuleFacts


def check_names(facts: ModuleFacts, username: str) -> None:
    """Raise ConfigurationError for the module's CHUTE_NAME or CHUTE_TAG, or a username, with the rule that it breaks."""
    where = str(facts.path)
    shortest, longest = platform_rules.CHUTE_NAME_LENGTH
    if not platform_rules.CHUTE_NAME.match(facts.chute_name) or not shortest <= len(facts.chute_name) <= longest:
        rule = f"{shortest} to {longest} letters, digits, '-', '_', '.' or '/', the first a letter or digit"
        raise _refused("CHUTE_NAME", facts.chute_name, rule, where)
    shortest, longest = platform_rules.IMAGE_TAG_LENGTH
    if not platform_rules.IMAGE_NAME.match(facts.chute_tag) or not shortest <= len(facts.chute_tag) <= longest:
        rule = f"{shortest} to {longest} letters, digits, '-', '_' or '.', the first a letter or digit"
        raise _refused("CHUTE_TAG", facts.chute_tag, rule, where)
    if not platform_rules.USERNAME.match(username):
        raise _refused(
            "username", username, "3 to 15 letters, digits or '_'", "CHUTES_USERNAME, or ~/.chutes/config.ini"
        )


def _refused(field: str, value: str, rule: str, where: str) -> ConfigurationError:
    return ConfigurationError(
        f"{field} {value[:200]!r} is refused by the platform", where=where, next_step=f"use {rule}"
    )
