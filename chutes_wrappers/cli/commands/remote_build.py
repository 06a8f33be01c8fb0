"""``--build M`` on the platform: uploaded by the SDK, followed to its end, and successful only if the API reports it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any

from chutes_wrappers.cli import module_preparation, output, prompts, sdk_upload
from chutes_wrappers.cli.commands.build import is_step, mask_variable_values
from chutes_wrappers.cli.sdk_upload import UploadOptions
from chutes_wrappers.core.base_images import build_refusal_step, is_refusal
from chutes_wrappers.core.errors import WrapperError
from chutes_wrappers.core.overruled_rules import is_overruled
from chutes_wrappers.core.platform_rules import IMAGE_BUILT
from chutes_wrappers.core.program import NAMES
from chutes_wrappers.host import upload_records
from chutes_wrappers.host.cuda_version import describe_cuda_concern
from chutes_wrappers.host.modules.definition import describe_staged_module
from chutes_wrappers.host.modules.module_facts import ModuleFacts
from chutes_wrappers.host.platform_api.api_client import PlatformApi, PlatformRequestFailed, PlatformUnreachable
from chutes_wrappers.host.platform_api.lookup import find_own_image, list_own_chutes, list_own_images, refresh_image
from chutes_wrappers.host.platform_api.objects import AccountInfo, ImageInfo, parse_chute, parse_image
from chutes_wrappers.host.platform_api.record_lookup import build_path
from chutes_wrappers.host.preflight.account import (
    find_chute_problems,
    find_logo_problems,
    find_upload_problems,
    has_failed,
)
from chutes_wrappers.host.preflight.forges import find_base_problems
from chutes_wrappers.host.preflight.problem import Problem
from chutes_wrappers.host.staging import Stage, create_stage

_POLL_S = 2.0
_POLL_AFTER_OUTPUT_S = 0.2
_MAX_RECONNECTS = 5
_EVENT = "data: "
_END = "DONE"
_KEEP_ALIVE = "."


def build_remotely(module: str, options: UploadOptions) -> int:
    """Upload the image of ``module``, or follow its running build; return 0 once the API reports that it is built."""
    facts = module_preparation.read_facts(module)
    manifest = sdk_upload.require_manifest(facts)
    with (
        sdk_upload.connect_as_owner() as (api, user),
        create_stage(facts, manifest, username=user.username) as stage,
    ):
        definition = describe_staged_module(stage, output.report)
        reference = sdk_upload.build_image_reference(definition)
        existing = find_own_image(api, reference)
        is_in_progress = existing is not None and existing.status != IMAGE_BUILT and not has_failed(existing)
        if manifest.image is not None and (concern := describe_cuda_concern(manifest.image)):
            output.warning(concern)
        base_problems = [] if is_in_progress else _find_base_problems(facts, definition)
        problems = [] if is_in_progress else _find_problems(api, user, existing, module, definition, options)
        module_preparation.check_with_platform_rules(facts, definition, user.username, [*problems, *base_problems])
        if base_problems:
            _confirm_base(reference, options)
        with output.Progress(
            f"Building {reference} on the platform", verbose=options.debug, is_important=is_step
        ) as progress:
            if existing is not None:
                output.report("the image is being built already: following that build")
            image = existing or _upload_and_remember(api, stage, facts.manifest_path, reference, options, progress)
            try:
                built = follow_build(api, image, progress, f"{NAMES.deploy} --build {module}")
            except KeyboardInterrupt:
                output.warning(f"the build continues on the platform; {NAMES.deploy} --build {module} follows it again")
                raise
    if options.as_json:
        output.print_json({"image_id": built.image_id, "image": built.reference, "status": built.status})
    output.success(f"{reference} is {built.status} after {progress.seconds:.0f} s")
    output.report(f"Next: {NAMES.deploy} --deploy {module}")
    return 0


def _find_problems(
    api: PlatformApi,
    user: AccountInfo,
    existing: ImageInfo | None,
    module: str,
    definition: Mapping[str, Any],
    options: UploadOptions,
) -> list[Problem]:
    """Return what the account's state makes impossible: the upload, and the deployment afterwards."""
    own_images = [parse_image(record) for record in list_own_images(api)]
    own_chutes = [parse_chute(record) for record in list_own_chutes(api)]
    return [
        *find_upload_problems(user, existing, module, sdk_version=version("chutes"), own_images=own_images),
        *find_chute_problems(definition, own_chutes),
        *find_logo_problems(options.logo),
    ]


def upload(
    api: PlatformApi,
    stage: Stage,
    reference: str,
    progress: output.Progress,
    *,
    arguments: list[str],
    variables: Mapping[str, str],
) -> ImageInfo:
    """Upload the image of ``stage`` through the SDK and return the API's record. Raises WrapperError if there is none."""
    sdk_error = sdk_upload.run_upload(stage, ["build", stage.reference, *arguments], progress, variables)
    image = find_own_image(api, reference)
    if image is None:
        raise sdk_upload.make_upload_error(f"the platform did not accept the image {reference}", sdk_error)
    return image


def follow_build(api: PlatformApi, uploaded: ImageInfo, progress: output.Progress, command: str) -> ImageInfo:
    """Print the log of an image's build until the build ends, and return the image.

    Raises WrapperError with the reason if it was not built. ``command`` is the one that follows the build again.
    """
    offset: dict[str, Any] = {}
    failures = 0
    while True:
        image, previous_offset = refresh_image(api, uploaded), dict(offset)
        if image is None:
            raise WrapperError(
                f"the image {uploaded.reference} no longer exists", next_step=f"build it again with {command}"
            )
        if image.status == IMAGE_BUILT:
            return image
        failures = failures + 1 if not _print_log(api, image, progress, offset) else 0
        if has_failed(image):
            raise _make_build_error(image, progress)
        if failures > _MAX_RECONNECTS:
            raise WrapperError(
                f"the log of {image.reference} breaks off repeatedly",
                next_step=f"follow it again with {command}: the build continues on the platform",
            )
        progress.add_line(image.status)
        time.sleep(_POLL_AFTER_OUTPUT_S if offset != previous_offset else _POLL_S)


def _find_base_problems(facts: ModuleFacts, definition: Mapping[str, Any]) -> list[Problem]:
    """Return the warnings about the image's base, without those that the user overruled."""
    problems = find_base_problems(definition, str(facts.path))
    return [problem for problem in problems if not is_overruled(problem.rule, problem.what)]


def _confirm_base(reference: str, options: UploadOptions) -> None:
    """Ask at a terminal whether to upload an image that the newer forge refuses. Raises WrapperError for a no."""
    if options.yes or not prompts.is_possible():
        return
    if not prompts.confirm(f"Build {reference} directly all the same?"):
        raise WrapperError(
            f"{reference} was not uploaded: the build on this base was not confirmed",
            next_step="see Two builders in the README for the platform's own base; --yes builds without this question",
        )


def _upload_and_remember(
    api: PlatformApi, stage: Stage, manifest: Path, reference: str, options: UploadOptions, progress: output.Progress
) -> ImageInfo:
    sdk_upload.show_command(manifest, "build", stage.reference, *options.arguments)
    image = upload(api, stage, reference, progress, arguments=options.arguments, variables={})
    upload_records.save_upload_record(image.image_id, stage)
    return image


def _print_log(api: PlatformApi, image: ImageInfo, progress: output.Progress, offset: dict[str, Any]) -> bool:
    """Print the lines after ``offset``, which is updated, until the log ends. Return False if it broke off."""
    try:
        _print_log_lines(api, image, progress, offset)
    except PlatformUnreachable:
        return False
    except PlatformRequestFailed as error:
        if error.status != HTTPStatus.NOT_FOUND:  # there may be no log before the build starts
            raise
    return True


def _print_log_lines(api: PlatformApi, image: ImageInfo, progress: output.Progress, offset: dict[str, Any]) -> None:
    lines = api.stream_lines(
        f"{build_path('images', image.image_id)}/logs",
        f"reading the build log of {image.reference}",
        purpose="images",
        params=dict(offset),
    )
    for line in lines:
        if line.startswith(_END):
            return  # the stream itself goes on with dots (PLATFORM.md, section 5)
        if not line.startswith(_EVENT):
            if not offset and line.strip() != _KEEP_ALIVE:
                progress.add_line(mask_variable_values(line))  # the whole log of a finished build
            continue
        try:
            event = json.loads(line[len(_EVENT) :])
            offset["offset"] = event["offset"]
            log = event["log"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        progress.add_line(mask_variable_values(str(log.get("log", "") if isinstance(log, dict) else log)))


def _make_build_error(image: ImageInfo, progress: output.Progress) -> WrapperError:
    what = f"the build of {image.reference} failed: {image.status}"
    if is_refusal(image.status):  # nothing was built: the log explains nothing
        return WrapperError(what, where=image.reference, next_step=build_refusal_step(image.reference))
    return WrapperError(
        what,
        where=image.reference,
        evidence=progress.tail,
        next_step=f"correct what the lines above report, run --delete-image {image.reference}, and build again",
    )
