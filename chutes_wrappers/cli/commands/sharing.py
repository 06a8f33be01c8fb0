"""``--share NAME USER`` and ``--secret CHUTE KEY``: access to a chute, and secrets of its instances."""

from __future__ import annotations

import json
import sys
from http import HTTPStatus

from chutes_wrappers.cli import output, prompts
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.text import clean_text
from chutes_wrappers.host.platform_api import api_client
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed
from chutes_wrappers.host.platform_api.error_responses import mask_secrets
from chutes_wrappers.host.platform_api.lookup import get_chute, resolve_chute_name


def share(name: str, user: str, *, as_json: bool) -> int:
    """Allow another user to see and call a chute."""
    chute_name = resolve_chute_name(name, output.report)
    with api_client.connect() as api:
        chute = get_chute(api, chute_name)
        body = {"chute_id_or_name": chute.chute_id, "user_id_or_name": user}
        response = api.post("/chutes/share", f"sharing the chute {chute.name} with {user}", body)
    if as_json:
        output.print_result(
            json.dumps({"chute_id": chute.chute_id, "user": user, "shared": True, "status": response.get("status")})
        )
    output.success(clean_text(response.get("status")) or f"{user} may call {chute.name}")
    return 0


def set_secret(name: str, key: str, *, as_json: bool) -> int:
    """Store a value from standard input as the variable ``key`` of a chute's instances; return 0 once the API lists it.

    The chute does not have to be deployed yet.
    """
    purpose = resolve_chute_name(name, output.report)
    if not key.isidentifier():
        raise ConfigurationError(f"{key!r} is not a valid variable name", next_step="use a name such as HF_TOKEN")
    with api_client.connect() as api:
        value = _read_value(key)
        body = {"purpose": purpose, "key": key, "value": value}
        try:
            response = api.post("/secrets/", f"storing the secret {key} of {purpose}", body)
        except PlatformRequestFailed as error:
            error.evidence = mask_secrets(error.evidence or "", [value])
            if error.status == HTTPStatus.CONFLICT:
                error.next_step = _build_replacement_step(api, purpose, key)
            raise
        except WrapperError as failure:
            failure.evidence = mask_secrets(failure.evidence or "", [value])
            raise
        if _find_secret_id(api, purpose, key) is None:
            raise WrapperError(f"the platform does not list the secret {key} of {purpose}", next_step="try again")
    if as_json:
        output.print_result(json.dumps({"secret_id": response.get("secret_id"), "purpose": purpose, "key": key}))
    output.success(f"instances of {purpose} that start from now on have {key}")
    return 0


def _read_value(key: str) -> str:
    if prompts.is_possible():
        value = prompts.read_line(f"Value of {key} (it is not shown): ", hidden=True)
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


def _find_secret_id(api: PlatformApi, purpose: str, key: str) -> str | None:
    """Return the id of a secret, or None."""
    for secret in api.list_items("/secrets/", "listing the secrets", purpose="secrets"):
        if isinstance(secret, dict) and (str(secret.get("purpose")).lower(), secret.get("key")) == (
            purpose.lower(),
            key,
        ):
            return clean_text(secret.get("secret_id"))
    return None


def _build_replacement_step(api: PlatformApi, purpose: str, key: str) -> str:
    secret_id = _find_secret_id(api, purpose, key)
    return f"delete the existing secret first: chutes secrets delete {secret_id or key}"
