"""The common steps of a build on the platform and a deployment: the account, the manifest and the SDK's command."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chutes_wrappers.cli import module_preparation, output
from chutes_wrappers.cli.placement_warnings import check_placement
from chutes_wrappers.cli.sdk_errors import SdkErrors, select_step
from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.core.manifest import Manifest
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host.account import credentials
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.modules.module_files import format_module
from chutes_wrappers.host.platform_api import api_client, error_responses
from chutes_wrappers.host.platform_api.api_client import PlatformApi
from chutes_wrappers.host.platform_api.objects import AccountInfo, parse_account
from chutes_wrappers.host.sdk_command import SdkTimeout, run_sdk
from chutes_wrappers.host.staging import Stage
from chutes_wrappers.sdk.route_source import PATH_VARIABLE
from chutes_wrappers.sdk.username import chutes_username


@dataclass(frozen=True, kw_only=True)
class UploadOptions:
    """Options of an upload. ``public``: any user may use the image or call the chute; ``logo``: the image file of its logo.

    ``yes``: ask no questions.
    """

    public: bool = False
    logo: Path | None = None
    debug: bool = False
    as_json: bool = False
    yes: bool = False

    @property
    def arguments(self) -> list[str]:
        """The SDK command's arguments for these options."""
        public = ["--public"] if self.public else []
        return public + (["--logo", str(self.logo.absolute())] if self.logo else [])


@contextlib.contextmanager
def connect_as_owner() -> Iterator[tuple[PlatformApi, AccountInfo]]:
    """Connect to the platform; yield the API and the account.

    Raises ConfigurationError if the modules would belong to another user.
    """
    account, username = credentials.read_account(), chutes_username()
    if username != account.username:
        raise ConfigurationError(
            f"CHUTES_USERNAME is {username!r}, and the account is {account.username!r}",
            where=str(account.file),
            next_step="unset CHUTES_USERNAME, or name that user's account in CHUTES_CONFIG_PATH",
        )
    with api_client.connect(account) as api:
        response = api.get("/users/me", "requesting the account", purpose="me")
        user = parse_account(response, platform_rules.PUBLIC_CHUTES_BIT, platform_rules.PUBLIC_CHUTES_PERMISSION)
        if user.username != username:
            raise ConfigurationError(
                f"the account's file has the username {username!r}, and the platform {user.username!r}",
                where=str(account.file),
                next_step=f"set username in [auth] to {user.username!r}",
            )
        yield api, user


def require_manifest(facts: ModuleFacts) -> Manifest:
    """Return the module's manifest.

    Raises ConfigurationError if it is missing: an uploaded image must contain the discovered routes.
    """
    if (manifest := module_preparation.find_manifest(facts)) is not None:
        return manifest
    check_placement(facts)  # raises first for what no manifest can correct
    raise ConfigurationError(
        "the module has no manifest, but image and chute must share one",
        where=str(facts.manifest_path),
        next_step=f"run {NAMES.deploy} --discover {format_module(facts.path)}",
    )


def build_image_reference(definition: Mapping[str, Any]) -> str:
    """Return the API's reference of a module's image. One without a tag is an image of the platform."""
    image = definition["image"]
    return f"{image['name']}:{image['tag']}" if image["tag"] else str(image["name"])


def check_visibility(what: str, is_public: bool, requested: bool, next_step: str) -> None:
    """Raise WrapperError unless ``what`` is as public in the API's record as was ``requested``."""
    if is_public != requested:
        request = "--public was requested" if requested else "it was uploaded without --public"
        raise WrapperError(
            f"{what} is {'public' if is_public else 'private'} on the platform, although {request}",
            next_step=next_step,
        )


def show_command(manifest: Path, *arguments: str) -> None:
    """Print the SDK's command so that a user could run it."""
    output.report(f"  $ {PATH_VARIABLE}={shlex.quote(manifest.name)} {shlex.join(('chutes', *arguments))}")


def run_upload(stage: Stage, arguments: list[str], progress: output.Progress, variables: Mapping[str, str]) -> str:
    """Run the SDK's command and return its last error or exception, or "". Its exit code does not show failures.

    A text of several lines, such as the notice of a fee, is returned with all of them, without the values of CHUTE_ENV. A
    command that did not end in time is such an error, too: the API is asked what came of it.
    """
    errors = SdkErrors()

    def handle_line(line: str) -> None:
        errors.add_line(line)
        progress.add_line(line)

    try:
        run_sdk(stage, arguments, on_line=handle_line, variables=variables)
    except SdkTimeout as error:
        return f"TimeoutError: {error.what}"
    return error_responses.mask_secrets(errors.last, stage.secrets)


def make_upload_error(what: str, sdk_error: str, *, payment_address: str = "") -> WrapperError:
    """Build the error for an upload that the API does not list afterwards; ``sdk_error`` is what the SDK printed."""
    return WrapperError(
        what,
        where="the platform",
        evidence=error_responses.format_reason(sdk_error) or "it reported no reason",
        next_step=select_step(sdk_error, payment_address),
    )
