"""``--share NAME USER`` and ``--secret CHUTE KEY``: who may call a chute, and what its instances know."""

from __future__ import annotations

import json
import sys

import click

from chutes_wrappers.cli import output, prompts
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRefused
from chutes_wrappers.host.platform_api.error_responses import masked
from chutes_wrappers.host.platform_api.lookup import chute, chute_name
from chutes_wrappers.host.platform_api.objects import plain

_CONFLICT = 409


def share(name: str, user: str, *, as_json: bool) -> int:
    """Let another user see and call a chute."""
    wanted = chute_name(name, output.report)
    with api_client.connect() as api:
        found = chute(api, wanted)
        body = {"chute_id_or_name": found.chute_id, "user_id_or_name": user}
        told = api.post("/chutes/share", f"sharing the chute {found.name} with {user}", body)
    if as_json:
        output.result(
            json.dumps({"chute_id": found.chute_id, "user": user, "shared": True, "status": told.get("status")})
        )
    output.success(plain(told.get("status")) or f"{user} may call {found.name}")
    return 0


def set_secret(name: str, key: str, *, as_json: bool) -> int:
    """Keep the value that standard input brings as the variable ``key`` of a chute's instances; 0 once the API lists it.

    The chute may still be to be deployed.
    """
    purpose = chute_name(name, output.report)
    if not key.isidentifier():
        raise ConfigurationError(f"{key!r} is no name of a variable", next_step="name it like HF_TOKEN")
    with api_client.connect() as api:
        value = _value(key)
        body = {"purpose": purpose, "key": key, "value": value}
        try:
            told = api.post("/secrets/", f"keeping the secret {key} of {purpose}", body)
        except PlatformRefused as refused:
            refused.evidence = masked(refused.evidence or "", [value])
            if refused.status == _CONFLICT:
                refused.next_step = _replacing(api, purpose, key)
            raise
        except WrapperError as failure:
            failure.evidence = masked(failure.evidence or "", [value])
            raise
        if _listed(api, purpose, key) is None:
            raise WrapperError(f"the platform does not list the secret {key} of {purpose}", next_step="try it again")
    if as_json:
        output.result(json.dumps({"secret_id": told.get("secret_id"), "purpose": purpose, "key": key}))
    output.success(f"instances of {purpose} that start from now on have {key}")
    return 0


def _value(key: str) -> str:
    if prompts.is_possible():
        value: str = click.prompt(
            f"Value of {key} (it is not shown)", hide_input=True, default="", show_default=False, err=True
        )
    else:
        try:
            value = sys.stdin.buffer.read().decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise ConfigurationError(
                f"the secret {key} is not UTF-8 text", next_step="give it as text, for instance in base64"
            ) from None
    if not value:
        raise ConfigurationError(
            f"the secret {key} has no value", next_step="give it on standard input: --secret CHUTE KEY < file"
        )
    return value


def _listed(api: PlatformApi, purpose: str, key: str) -> str | None:
    """The id of a secret, or None."""
    for told in api.items("/secrets/", "listing the secrets", purpose="secrets"):
        if isinstance(told, dict) and (str(told.get("purpose")).lower(), told.get("key")) == (purpose.lower(), key):
            return plain(told.get("secret_id"))
    return None


def _replacing(api: PlatformApi, purpose: str, key: str) -> str:
    known = _listed(api, purpose, key)
    return f"delete the one that is there first: chutes secrets delete {known or key}"
