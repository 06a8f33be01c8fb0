"""The variables that a module's ``CHUTE_HEADERS`` refers to, from the user's environment: here they replace ``--secret``."""

from __future__ import annotations

import os
from collections.abc import Mapping

from chutes_wrappers.core.errors import ConfigurationError
from chutes_wrappers.core.module_headers import HEADERS_VARIABLE, ModuleHeaders, format_secret_command
from chutes_wrappers.core.platform_checks import is_banned_secret
from chutes_wrappers.core.platform_rules import SECRET_NAME
from chutes_wrappers.core.setup_secrets import SEED_VARIABLE, TOKEN_VARIABLE
from chutes_wrappers.host.modules.module_facts import ModuleFacts

_ACCOUNT_SECRETS = {SEED_VARIABLE, TOKEN_VARIABLE}


def read_header_variables(facts: ModuleFacts, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables by their names; ``settings`` override the user's environment.

    Raises ConfigurationError with the names of those that are not set, or empty, and for a value that no header can have. It
    is also raised for a secret of the account: a module may be another person's, and so may its service.
    """
    if of_account := _ACCOUNT_SECRETS & {*facts.headers.variables}:
        raise ConfigurationError(
            f"{min(of_account)} is a secret of your account on the platform, which no service gets",
            where=f"{facts.path}, {HEADERS_VARIABLE}",
            next_step="use a variable of another name",
        )
    environment = {**os.environ, **(settings or {})}
    if unset := facts.headers.find_unset(environment):
        raise ConfigurationError(
            f"{', '.join(unset)} {'is' if len(unset) == 1 else 'are'} not set in your environment",
            where=f"{facts.path}, {HEADERS_VARIABLE}",
            next_step=f"export {unset[0]}, and run the command again. On the platform it is a secret: "
            f"{format_secret_command(facts.chute_name, unset[0])}",
        )
    facts.headers.resolve(environment)
    return {name: environment[name] for name in facts.headers.variables}


def read_instance_secrets(facts: ModuleFacts) -> dict[str, str]:
    """Return the variables that an instance on this machine gets in place of stored secrets.

    They are those of the headers, and the secrets that CHUTE_ENV reads from the user's environment: an instance reads it
    again. Raises ConfigurationError as ``read_header_variables`` does.
    """
    in_environment = {
        name: value
        for name, value in facts.env.items()
        if value and SECRET_NAME.search(name) and not is_banned_secret(name) and os.environ.get(name) == value
    }
    return {**in_environment, **read_header_variables(facts)}


def resolve_headers(facts: ModuleFacts, settings: Mapping[str, str] | None = None) -> ModuleHeaders:
    """Return the module's headers with these variables. Raises ConfigurationError as ``read_header_variables`` does."""
    return facts.headers.resolve(read_header_variables(facts, settings))
